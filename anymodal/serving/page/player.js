/** A player of sound: a button, the waveform as a slider, and the time. */

import { h, icon, svg } from "./dom.js";

const BARS = 64;
let playing = null;

/** The player of a sound at a URL, whose bytes draw the waveform. */
export function audioPlayer(url, blob, label) {
  const sound = new Audio(url);
  sound.preload = "metadata";
  const button = h("button", { type: "button", class: "play", "aria-label": `Play ${label}` }, icon("play"));
  const wave = svg("svg", {
    viewBox: `0 0 ${BARS * 4} 40`,
    preserveAspectRatio: "none",
    class: "wave",
    "aria-hidden": "true",
  });
  const slider = h("input", {
    type: "range",
    min: "0",
    max: "1000",
    value: "0",
    "aria-label": `Position in ${label}`,
  });
  const clock = h("span", { class: "clock" }, "0:00");
  const show = () => {
    const share = Number.isFinite(sound.duration) && sound.duration ? sound.currentTime / sound.duration : 0;
    slider.value = String(Math.round(share * 1000));
    slider.setAttribute("aria-valuetext", `${seconds(sound.currentTime)} of ${seconds(sound.duration)}`);
    wave.childNodes.forEach((bar, place) =>
      bar.classList.toggle("past", (place + 0.5) / BARS <= share && share > 0),
    );
    clock.textContent = seconds(sound.paused && !sound.currentTime ? sound.duration : sound.currentTime);
  };
  const follow = () => {
    show();
    if (!sound.paused) requestAnimationFrame(follow);
  };
  const setButton = (name, action) => {
    button.replaceChildren(icon(name));
    button.setAttribute("aria-label", `${action} ${label}`);
  };
  button.addEventListener("click", () => (sound.paused ? sound.play() : sound.pause()));
  slider.addEventListener("input", () => {
    if (Number.isFinite(sound.duration)) sound.currentTime = (slider.value / 1000) * sound.duration;
    show();
  });
  sound.addEventListener("play", () => {
    if (playing && playing !== sound) playing.pause(); // one at a time
    playing = sound;
    setButton("pause", "Pause");
    follow();
  });
  sound.addEventListener("pause", () => setButton("play", "Play"));
  sound.addEventListener("ended", () => {
    sound.currentTime = 0;
    show();
  });
  sound.addEventListener("loadedmetadata", show);
  drawWave(wave, blob).then(show, () => {});
  return h(
    "div",
    { class: "audio", role: "group", "aria-label": label },
    sound,
    button,
    h("div", { class: "track" }, wave, slider),
    clock,
  );
}

async function drawWave(wave, blob) {
  wave.replaceChildren(...bars(new Array(BARS).fill(0.08)));
  // Offline, since a page may have few contexts that play.
  const context = new OfflineAudioContext(1, 1, 16000);
  const buffer = await context.decodeAudioData(await blob.arrayBuffer());
  wave.replaceChildren(...bars(peaksOf(buffer.getChannelData(0))));
}

/** The greatest sample of each bar, as a share of the greatest of all. */
function peaksOf(samples) {
  const size = Math.max(1, Math.floor(samples.length / BARS));
  const peaks = Array.from({ length: BARS }, (_, bar) =>
    samples
      .subarray(bar * size, (bar + 1) * size)
      .reduce((peak, value) => Math.max(peak, Math.abs(value)), 0),
  );
  const most = Math.max(...peaks, 1e-3);
  return peaks.map((peak) => Math.max(0.06, peak / most));
}

const bars = (peaks) =>
  peaks.map((peak, place) =>
    svg("rect", { x: place * 4 + 0.6, y: 20 - peak * 19, width: 2.6, height: peak * 38, rx: 1.2 }),
  );

/** Seconds as minutes and seconds. */
export function seconds(value) {
  if (!Number.isFinite(value)) return "–:––";
  return `${Math.floor(value / 60)}:${String(Math.floor(value % 60)).padStart(2, "0")}`;
}
