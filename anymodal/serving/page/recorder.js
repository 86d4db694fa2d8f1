/** Recordings by microphone and camera. */

import { byId, h, icon, iconButton, notify } from "./dom.js";
import { seconds } from "./player.js";
import { wavOf } from "./wav.js";

/** Recordings that can be made, by the kind of media that they are. */
export const RECORDERS = [
  { kind: "audio", icon: "mic", label: "Record sound", use: { audio: true } },
  { kind: "image", icon: "camera", label: "Take a picture", use: { video: true } },
  { kind: "video", icon: "video", label: "Record video", use: { video: true, audio: true } },
];
const TYPES = ["video/webm;codecs=vp8,opus", "video/webm", "video/mp4"];

/** Open the dialog of a recorder; `onFile` takes what was recorded. */
export async function openRecorder(recorder, onFile) {
  if (!navigator.mediaDevices) {
    notify("A browser lets only secure pages record: open this page as http://localhost, or by https.", true);
    return;
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia(recorder.use);
  } catch (error) {
    const reason =
      { NotFoundError: "there is none", NotAllowedError: "the browser doesn't allow it" }[error.name] ??
      error.message;
    notify(`No ${recorder.use.video ? "camera" : "microphone"} can be used: ${reason}.`, true);
    return;
  }
  showDialog(recorder, stream, onFile);
}

function showDialog(recorder, stream, onFile) {
  const dialog = byId("recorder");
  const close = () => dialog.close();
  const face = recorder.use.video
    ? h("video", { autoplay: true, playsinline: true, "aria-label": "Camera" })
    : h("canvas", { width: "320", height: "80", "aria-label": "Level of the microphone", role: "img" });
  const clock = h("span", { class: "clock", role: "timer" }, recorder.kind === "image" ? "" : "0:00");
  const button = h("button", { type: "button", class: "primary" });
  const take = { image: takePicture, audio: takeRecording, video: takeRecording }[recorder.kind];
  dialog.replaceChildren(
    h(
      "div",
      { class: "dialog-head" },
      h("h2", {}, recorder.label),
      iconButton("close", "Close without recording (Esc)", close),
    ),
    face,
    h("div", { class: "actions" }, clock, h("span", { class: "space" }), button),
  );
  const work = { recorder, stream, face, clock, button, end: null };
  dialog.onclose = () => {
    for (const track of stream.getTracks()) track.stop();
    work.end?.();
    dialog.replaceChildren();
  };
  if (recorder.use.video) {
    face.muted = true; // as a property: the attribute of an element that is there already mutes nothing
    face.srcObject = stream;
  } else work.end = drawLevel(face, stream);
  take(work, (file) => {
    close();
    onFile(file);
  });
  dialog.showModal();
  button.focus();
}

function takePicture({ face, button }, done) {
  button.append(icon("camera"), "Take the picture");
  button.onclick = () => {
    const canvas = h("canvas", { width: face.videoWidth, height: face.videoHeight });
    canvas.getContext("2d").drawImage(face, 0, 0);
    canvas.toBlob(
      (blob) => done(new File([blob], `picture-${stamp()}.jpg`, { type: "image/jpeg" })),
      "image/jpeg",
      0.92,
    );
  };
}

function takeRecording({ recorder, stream, clock, button }, done) {
  const isSound = recorder.kind === "audio";
  const type = isSound ? "" : (TYPES.find((each) => MediaRecorder.isTypeSupported(each)) ?? "");
  const media = new MediaRecorder(stream, type ? { mimeType: type } : {});
  const pieces = [];
  media.ondataavailable = (event) => {
    if (!event.data.size) return;
    if (!pieces.length) showRunning(); // what is stopped before a busy machine's first data is empty
    pieces.push(event.data);
  };
  media.onstop = async () => {
    if (!button.isConnected) return; // the dialog was closed
    const blob = new Blob(pieces, { type: media.mimeType });
    const suffix = media.mimeType.includes("mp4") ? "mp4" : "webm";
    done(
      isSound
        ? new File([await wavOf(blob)], `sound-${stamp()}.wav`, { type: "audio/wav" })
        : new File([blob], `video-${stamp()}.${suffix}`, { type: media.mimeType.split(";")[0] }),
    );
  };
  const showRunning = () => {
    const began = performance.now();
    const timer = setInterval(() => {
      clock.textContent = seconds((performance.now() - began) / 1000);
      if (media.state === "inactive") clearInterval(timer);
    }, 200);
    button.replaceChildren(icon("stop"), "Stop and attach");
    button.classList.add("recording");
    button.onclick = () => media.stop();
    button.disabled = false;
    button.focus();
  };
  const start = () => {
    media.start(250);
    button.replaceChildren(icon("record"), "Starting");
    button.disabled = true;
  };
  button.append(icon("record"), "Record");
  button.onclick = start;
}

/** Draw the level of a microphone; returns what ends it. */
function drawLevel(canvas, stream) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Uint8Array(analyser.fftSize);
  const brush = canvas.getContext("2d");
  let frame = 0;
  const draw = () => {
    analyser.getByteTimeDomainData(samples);
    brush.clearRect(0, 0, canvas.width, canvas.height);
    brush.strokeStyle = getComputedStyle(canvas).color;
    brush.lineWidth = 2;
    brush.beginPath();
    samples.forEach((value, place) =>
      brush.lineTo((place / samples.length) * canvas.width, (value / 255) * canvas.height),
    );
    brush.stroke();
    frame = requestAnimationFrame(draw);
  };
  draw();
  return () => {
    cancelAnimationFrame(frame);
    context.close();
  };
}

const stamp = () => new Date().toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
