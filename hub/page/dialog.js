// The kind of answer that Alexa expects while she is listening: yes or no, the value of a slot, or anything.

/** `"yes or no"`, `"value"` or `"anything"`; `null` when the session has ended. */
export function awaited(turn) {
  if (!turn?.heard.listening) return null;
  const directives = turn.response?.response?.directives ?? [];
  const has = (type) => directives.some((directive) => directive.type?.startsWith(type));
  if (has("Dialog.Confirm")) return "yes or no";
  if (has("Dialog.Elicit")) return "value";
  // Without a directive, the speech decides: "Shall I …?" asks for yes or no, "Shall I switch it on or off?" does not.
  const question = turn.heard.speech.split(/(?<=[.?!]) /).at(-1);
  const isChoice = / or /.test(question) && !question.includes("yes or no");
  return !isChoice && /\b(shall I|do you)\b|yes or no/i.test(question) && !/^(what|how|which|where|when|who)\b/i.test(question) ? "yes or no" : "anything";
}
