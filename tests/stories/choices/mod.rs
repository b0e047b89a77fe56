//! A bot offers choices, a customer answers on the phone, and Connect gets what its own widget would send. All of it goes
//! through the front door: the provider's signed webhook in, the provider's send API out. One file for each subject; here is
//! what they share.

mod appointment;
mod lifetime;
mod native;
mod table;

use jiff::Timestamp;
use local::{Channel as Network, Choice, Operation, Writing, webhooks};
use receive_message::ReceiveMessage;
use serde_json::{Value, json};
use shared::sms::message::Channel;
use tests::{
    Http,
    aws::moto,
    invoke,
    providers::{Call, line},
    receive_message,
    replies::{Desk, Line},
};

const BASE: &str = "https://sms.example.com/bridge";
const INTERACTIVE: &str = "application/vnd.amazonaws.connect.message.interactive";
const RESPONSE: &str = "application/vnd.amazonaws.connect.message.interactive.response";
const TEXT: &str = "text/plain";

/// WhatsApp by Vonage, which the line of its SMS has an account for.
fn vonage_whatsapp() -> Line {
    Line { label: "vonage-messages whatsapp", channel: Channel::Whatsapp, ..line("vonage-messages") }
}

/// A template as Connect streams it.
fn template(kind: &str, content: Value) -> String {
    json!({ "templateType": kind, "version": "1.0", "data": { "content": content } }).to_string()
}

/// A customer with a phone, and the desk that is texted to.
struct Customer {
    desk: Desk,
    /// The chat that is open.
    chat: String,
    receive: ReceiveMessage,
}

impl Customer {
    /// A customer who has just said hello.
    async fn at(line: Line) -> Self {
        let mut customer = Self::of(Desk::start(line).await).await;
        customer.writes("Hello").await;
        customer.desk.hand_over().await;
        customer.desk.drain().await;
        customer.chat = customer.desk.cloud.connect.contacts()[0].initial_id.clone();
        customer
    }

    /// A customer of this desk, who has said nothing.
    async fn of(desk: Desk) -> Self {
        let environment = [
            ("BRIDGE_SETTINGS", desk.settings.to_string()),
            ("PUBLIC_BASE_URL", BASE.to_owned()),
            ("INBOUND_QUEUE_URL", desk.cloud.queue_url.clone()),
            ("AWS_ENDPOINT_URL_SNS", desk.cloud.connect.url().to_owned()),
        ];
        let receive = receive_message(&environment, moto()).await;
        Self { desk, chat: String::new(), receive }
    }

    /// A bot says something, and the customer's phone has it.
    async fn is_told(&self, content_type: &str, content: &str) {
        self.desk.cloud.connect.agent_says(&self.chat, content_type, content).unwrap();
        self.desk.hand_over().await;
        self.desk.drain().await;
    }

    /// A bot offers choices: those that can be tapped on the phone.
    async fn is_offered(&self, template: &str) -> Vec<Choice> {
        self.is_told(INTERACTIVE, template).await;
        offered(self.desk.sent().last().unwrap())
    }

    async fn writes(&self, text: &str) {
        self.post(text, None).await;
        self.deliver().await;
    }

    async fn taps(&self, choice: &Choice) {
        self.post(&choice.title, Some(choice.clone())).await;
        self.deliver().await;
    }

    /// The provider posts what the customer did: it is in the queue.
    async fn post(&self, text: &str, choice: Option<Choice>) {
        let line = &self.desk.line;
        let writing = Writing {
            account: line.provider.to_owned(),
            channel: Some(if line.channel == Channel::Whatsapp { Network::Whatsapp } else { Network::Sms }),
            from: line.customer.to_owned(),
            to: line.ours.to_owned(),
            text: text.to_owned(),
            choice,
        };
        for webhook in webhooks(&self.desk.settings["accounts"][0], &writing, BASE, Timestamp::now()).unwrap() {
            let request = Http::new("POST", &webhook.path).body(webhook.body);
            let request = webhook.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
            let answer = invoke(&self.receive, &request.http_api()).await;
            assert_eq!(answer.status, 200, "{} {:?}", line.label, answer.body);
        }
    }

    async fn deliver(&self) {
        self.desk.cloud.drain(&self.desk.cloud.function().await).await;
    }

    /// What the customer's participant was last made to say: content type and content.
    fn said(&self) -> (String, String) {
        let calls = self.desk.cloud.connect.calls_to(Operation::SendMessage);
        let body = &calls.last().expect("nothing was said").body;
        let field = |name: &str| body[name].as_str().unwrap().to_owned();
        (field("ContentType"), field("Content"))
    }

    /// Everything that was said, in order.
    fn all_said(&self) -> Vec<String> {
        let calls = self.desk.cloud.connect.calls_to(Operation::SendMessage);
        calls.iter().map(|call| call.body["Content"].as_str().unwrap().to_owned()).collect()
    }
}

/// What can be tapped of a text that was sent, by the provider's own documentation.
fn offered(call: &Call) -> Vec<Choice> {
    let body = call.whatsapp();
    if let Some(choices) = body.pointer("/data/choices") {
        return serde_json::from_value(choices.clone()).unwrap();
    }
    let interactive = body.get("interactive").or_else(|| body.pointer("/custom/interactive")).unwrap_or(&Value::Null);
    let in_list = interactive["type"] == "list";
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let buttons = list(interactive.pointer("/action/buttons")).into_iter().map(|button| button["reply"].clone());
    let sections = list(interactive.pointer("/action/sections"));
    let rows = sections.iter().flat_map(|section| list(section.get("rows")));
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let choice = |reply: Value| Choice {
        id: text(&reply["id"]).unwrap(),
        title: text(&reply["title"]).unwrap(),
        description: text(&reply["description"]),
        in_list,
    };
    buttons.chain(rows).map(choice).collect()
}
