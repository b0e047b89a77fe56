// What an agent or a flow can send beside plain text. The templates are those of the administrator guide, "Add Amazon
// Lex interactive messages for customers in chat".

export const PLAIN = "text/plain";
export const MARKDOWN = "text/markdown";
export const INTERACTIVE = "application/vnd.amazonaws.connect.message.interactive";

const template = (templateType, content, replyMessage) => ({
  content_type: INTERACTIVE,
  content: JSON.stringify({ templateType, version: "1.0", data: { ...(replyMessage && { replyMessage }), content } }),
});

const picker = (title, elements) => ({
  templateType: "ListPicker",
  templateIdentifier: crypto.randomUUID(),
  version: "1.0",
  data: { content: { title, subtitle: "Select an option", elements } },
});

const inDays = (days, hour) => {
  const date = new Date(Date.now() + days * 86_400_000);
  return `${date.toISOString().slice(0, 10)}T${hour}:00+00:00`;
};

export const SAMPLES = {
  Markdown: () => ({
    content_type: MARKDOWN,
    content:
      "**Opening hours**\n\n- Monday to Friday: *9 to 17*\n- Saturday: closed\n\n" +
      "More at [our page](https://example.com/hours).",
  }),
  "List picker": () =>
    template(
      "ListPicker",
      {
        title: "What produce would you like to buy?",
        subtitle: "Tap to select option",
        elements: [
          { title: "Apple", subtitle: "$1.00" },
          { title: "Orange", subtitle: "$1.50" },
          { title: "Banana", subtitle: "$10.00" },
        ],
      },
      { title: "Thanks for selecting!", subtitle: "Produce selected" },
    ),
  "Time picker": () =>
    template(
      "TimePicker",
      {
        title: "Schedule appointment",
        subtitle: "Tap to select option",
        timeZoneOffset: 0,
        location: { latitude: 47.616299, longitude: -122.4311, title: "Oscar", radius: 1 },
        timeslots: [
          { date: inDays(1, "09"), duration: 60 },
          { date: inDays(1, "13"), duration: 60 },
          { date: inDays(2, "16"), duration: 60 },
        ],
      },
      { title: "Thanks for selecting", subtitle: "Appointment selected" },
    ),
  Panel: () =>
    template(
      "Panel",
      {
        title: "How can I help you?",
        subtitle: "Tap to select option",
        elements: [{ title: "Check self-service options" }, { title: "Talk to an agent" }, { title: "End chat" }],
      },
      { title: "Thanks for selecting!", subtitle: "Option selected" },
    ),
  "Quick reply": () =>
    template(
      "QuickReply",
      {
        title: "Which department would you like?",
        elements: [{ title: "Billing" }, { title: "Cancellation" }, { title: "New service" }],
      },
      { title: "Thanks for selecting!" },
    ),
  Carousel: () =>
    template("Carousel", {
      title: "View our popular destinations",
      elements: [
        picker("California", [{ title: "Book flights" }, { title: "Book hotels" }]),
        picker("New York", [{ title: "Book flights" }, { title: "Book hotels" }]),
      ],
    }),
  // Longer than what any provider takes at once.
  "Long text": () => ({
    content_type: PLAIN,
    content: Array.from({ length: 40 }, (_, index) => `Sentence ${index + 1} of 40 has its place, and comes once.`).join(" "),
  }),
};
