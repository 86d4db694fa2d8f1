/** Files as media: their kinds, bytes and names. */

const LABELS = { image: "image", audio: "audio", speech: "speech", video: "video", imu: "IMU recording" };
const PLURALS = {
  text: "text",
  image: "images",
  audio: "audio",
  speech: "speech",
  video: "video",
  imu: "IMU recordings (.csv)",
};
const MIMES = { ".csv": "text/csv", ".npy": "application/x-npy", ".ply": "application/ply" };
const SUFFIXES = {
  "image/png": ".png",
  "image/jpeg": ".jpg",
  "image/webp": ".webp",
  "image/gif": ".gif",
  "audio/wav": ".wav",
  "audio/x-wav": ".wav",
  "audio/flac": ".flac",
  "audio/x-flac": ".flac",
  "video/mp4": ".mp4",
  "video/webm": ".webm",
  "text/csv": ".csv",
  "application/ply": ".ply",
  "application/x-npy": ".npy",
};
const MOST_TEXT = 200_000;

/** A kind of media as people call it. */
export const kindLabel = (kind) => LABELS[kind] ?? kind;

/** Kinds in a sentence: text, images and audio. */
export function kindList(kinds) {
  const names = kinds.map((kind) => PLURALS[kind] ?? kind);
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : (names[0] ?? "nothing");
}

const suffixOf = (name) => /\.[^./\\]+$/.exec(name)?.[0].toLowerCase() ?? "";

/** The kind of media that a model reads a file as.
 *
 * @returns the kind; null for a text; undefined for what the model can't read.
 */
export function kindOf(file, model, suffixes) {
  const suffix = suffixOf(file.name);
  const kinds = suffixes[suffix] ?? [];
  const reads = model.modalities.input;
  const mime = file.type.split("/")[0];
  if (reads.includes(mime) && (kinds.includes(mime) || !kinds.length)) return mime;
  const kind = ["image", "video", ...kinds].find((each) => kinds.includes(each) && reads.includes(each));
  if (kind) return kind;
  const isText =
    !kinds.length && (mime === "text" || /^\.(txt|md|log|json|ya?ml|xml|py|js|toml)$/.test(suffix));
  return isText && file.size <= MOST_TEXT ? null : undefined;
}

/** The reason for which a file isn't taken, with what to do. */
export function refusal(file, model, limits) {
  if (file.size > limits.file_bytes) {
    return `${file.name} is ${megabytes(file.size)}; the server takes files up to ${megabytes(limits.file_bytes)}. Make it smaller or shorter.`;
  }
  if (!file.size) return `${file.name} is empty. Choose another file.`;
  const suffix = suffixOf(file.name);
  return `${file.name}: ${model.id} reads ${kindList(model.modalities.input)}, and no ${suffix ? `${suffix} files` : "files without a suffix"}. Convert it, or choose another file.`;
}

export const megabytes = (bytes) =>
  bytes < 2 ** 20
    ? `${Math.max(1, Math.round(bytes / 1024))} KiB`
    : `${(bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0)} MiB`;

/** A file's media type, by its name where the system knows none. */
export const mimeOf = (file) =>
  MIMES[suffixOf(file.name)] ?? (file.type.split(";")[0] || "application/octet-stream");

/** Bytes as a data URL. */
export function dataUrl(blob, mime) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () =>
      resolve(
        `data:${mime || "application/octet-stream"};base64,${reader.result.slice(reader.result.indexOf(",") + 1)}`,
      );
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** The bytes of a data URL, with their media type. */
export function blobOf(url) {
  const comma = url.indexOf(",");
  const mime = /^data:([^;,]*)/.exec(url)?.[1] ?? "";
  const text = atob(url.slice(comma + 1));
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new Blob([bytes], { type: mime });
}

/** A file's name for a medium that a model made. */
export const nameOf = (kind, mime, number) => `${kind}-${number}${SUFFIXES[mime] ?? ""}`;

/** Save bytes as a file of the user's. */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
