// Speech synthesis and speech recognition of the browser, if it has them.

const Recognition = window.SpeechRecognition ?? window.webkitSpeechRecognition;
const KEY = "onething-voice";

export const canListen = Boolean(Recognition);
export const canSpeak = "speechSynthesis" in window;

export const voiceIsOn = () => canSpeak && localStorage.getItem(KEY) === "on";

export function turnVoice(on) {
  localStorage.setItem(KEY, on ? "on" : "off");
  if (!on && canSpeak) speechSynthesis.cancel();
}

export function speak(text) {
  if (!voiceIsOn()) return;
  speechSynthesis.cancel();
  const words = new SpeechSynthesisUtterance(text);
  words.lang = "en-US";
  speechSynthesis.speak(words);
}

/** Recognises one utterance. Resolves with its words, or with `null` if nothing was recognised. */
export function hear() {
  return new Promise((resolve, reject) => {
    const recognition = new Recognition();
    recognition.lang = "en-US";
    let words = null;
    recognition.addEventListener("result", (event) => (words = event.results[0][0].transcript));
    recognition.addEventListener("error", (event) => {
      if (event.error === "no-speech" || event.error === "aborted") resolve(null);
      else reject(new Error(event.error));
    });
    recognition.addEventListener("end", () => resolve(words));
    recognition.start();
  });
}
