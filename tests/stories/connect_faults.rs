//! What a widget reads when Connect fails: status, code, how often Connect was asked, and how long it took.

use std::time::{Duration, Instant};

use local::{Fault, Operation, StandIn};
use serde_json::json;
use tests::{Http, PAGE, environment, invoke_within, start_chat};

struct Case {
    label: &'static str,
    fault: Fault,
    /// Lambda's time in milliseconds.
    time: u64,
    answer: (u16, Option<&'static str>),
    calls: std::ops::RangeInclusive<usize>,
    retry_after: std::ops::RangeInclusive<u64>,
}

fn cases() -> Vec<Case> {
    let case = |label, fault, answer, calls| Case { label, fault, time: 20_000, answer, calls, retry_after: 0..=0 };
    vec![
        Case {
            retry_after: 60..=60,
            ..case("the quota of chats", Fault::limit_exceeded().forever(), (429, Some("CHAT_QUOTA_EXCEEDED")), 1..=1)
        },
        Case {
            retry_after: 1..=3,
            ..case("throttled for ever", Fault::too_many_requests().forever(), (429, Some("THROTTLED")), 5..=5)
        },
        Case {
            retry_after: 1..=3,
            ..case("throttled by the front end", Fault::throttling().forever(), (429, Some("THROTTLED")), 5..=5)
        },
        Case {
            retry_after: 1..=3,
            time: 1_500,
            ..case("throttled, little time", Fault::too_many_requests().forever(), (429, Some("THROTTLED")), 1..=5)
        },
        case("throttled twice", Fault::too_many_requests().times(2), (200, None), 3..=3),
        case(
            "a request Connect refuses",
            Fault::error(400, "InvalidRequestException").forever(),
            (400, Some("CONNECT_REJECTED")),
            1..=1,
        ),
        case(
            "a parameter Connect refuses",
            Fault::error(400, "InvalidParameterException").forever(),
            (400, Some("CONNECT_REJECTED")),
            1..=1,
        ),
        case(
            "no permission",
            Fault::error(403, "AccessDeniedException").forever(),
            (502, Some("CONNECT_MISCONFIGURED")),
            1..=1,
        ),
        case(
            "no such flow",
            Fault::error(404, "ResourceNotFoundException").forever(),
            (502, Some("CONNECT_MISCONFIGURED")),
            1..=1,
        ),
        case(
            "bad credentials",
            Fault::error(403, "UnrecognizedClientException").forever(),
            (502, Some("CONNECT_MISCONFIGURED")),
            1..=1,
        ),
        case(
            "broken for ever",
            Fault::error(500, "InternalServiceException").forever(),
            (503, Some("CONNECT_UNAVAILABLE")),
            5..=5,
        ),
        case("broken once", Fault::error(500, "InternalServiceException").times(1), (200, None), 2..=2),
        case(
            "a gateway's error page",
            Fault::error(503, "ServiceUnavailable").forever(),
            (503, Some("CONNECT_UNAVAILABLE")),
            5..=5,
        ),
        case("reset for ever", Fault::reset().forever(), (503, Some("CONNECT_UNAVAILABLE")), 5..=5),
        case("reset once", Fault::reset().times(1), (200, None), 2..=2),
        case("reset after the chat was started", Fault::reset_after().times(1), (200, None), 2..=2),
        Case { time: 2_000, ..case("hangs for ever", Fault::hang().forever(), (504, Some("TIMEOUT")), 2..=5) },
        Case { time: 8_000, ..case("hangs once", Fault::hang().times(1), (200, None), 2..=2) },
        Case { time: 400, ..case("no time at all", Fault::hang().forever(), (504, Some("TIMEOUT")), 0..=0) },
    ]
}

#[tokio::test]
async fn each_fault_has_its_answer() {
    let mut table = format!("{:34} {:>6} {:22} {:>5} {:>8}\n", "fault", "status", "code", "calls", "ms");
    for case in cases() {
        let connect = StandIn::start().await.unwrap();
        let function = start_chat(&environment(), connect.url()).await;
        connect.fail(Operation::StartChatContact, case.fault);

        let request = Http::chat(&json!({ "ParticipantDetails": { "DisplayName": "Jo" } })).http_api();
        let started = Instant::now();
        let answer = invoke_within(&function, &request, Duration::from_millis(case.time)).await;
        let took = u64::try_from(started.elapsed().as_millis()).unwrap();

        let calls = connect.calls();
        table += &format!(
            "{:34} {:>6} {:22} {:>5} {took:>8}\n",
            case.label,
            answer.status,
            answer.code().unwrap_or("-"),
            calls.len()
        );
        assert_eq!((answer.status, answer.code()), case.answer, "{}", case.label);
        assert!(case.calls.contains(&calls.len()), "{}: {} calls", case.label, calls.len());
        // Lambda would have ended the function; a busy machine is granted a second.
        assert!(took <= case.time + 1_000, "{}: {took} ms", case.label);
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE), "{}", case.label);
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"), "{}", case.label);
        let retry_after = answer.header("retry-after").map_or(0, |seconds| seconds.parse().unwrap());
        assert!(case.retry_after.contains(&retry_after), "{}: Retry-After {retry_after}", case.label);

        let mut tokens: Vec<_> =
            calls.iter().map(|call| call.body["ClientToken"].as_str().unwrap().to_owned()).collect();
        tokens.dedup();
        assert!(tokens.len() <= 1, "{}: the same token on every try", case.label);
        assert!(connect.contacts().len() <= 1, "{}: never two chats", case.label);
        if answer.status != 200 {
            let mut body = answer.body.clone();
            body["error"]["message"] = json!("[text]");
            let code = case.answer.1;
            let told =
                json!({ "success": false, "error": { "code": code, "message": "[text]", "requestId": "request-1" } });
            assert_eq!(body, told, "{}", case.label);
        }
    }
    println!("{table}");
}

#[tokio::test]
async fn connects_reason_is_told_in_short_and_without_ids() {
    let connect = StandIn::start().await.unwrap();
    let function = start_chat(&environment(), connect.url()).await;
    let reason = "Flow arn:aws:connect:us-east-1:123456789012:instance/4/contact-flow/5 is not published";
    for (status, kind, told) in [
        (400, "InvalidRequestException", "Amazon Connect refused the request: Flow [id] is not published"),
        (403, "AccessDeniedException", "Chat is not set up correctly; its owner has been told"),
    ] {
        connect.fail(Operation::StartChatContact, Fault::error(status, kind).message(reason));
        let request = Http::chat(&json!({})).http_api();
        let answer = invoke_within(&function, &request, Duration::from_secs(5)).await;
        assert_eq!(answer.body["error"]["message"], told, "{kind}");
    }
}

#[tokio::test]
async fn nobody_listens_at_the_endpoint() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let function = start_chat(&environment(), &format!("http://{closed}")).await;
    let answer = invoke_within(&function, &Http::chat(&json!({})).http_api(), Duration::from_secs(20)).await;
    assert_eq!((answer.status, answer.code()), (503, Some("CONNECT_UNAVAILABLE")));
}
