/** The server's API, as any of its clients sees it. */

const KEY = "anymodal.key";

/** An error as the server tells it. */
export class ApiError extends Error {
  constructor(status, body = {}) {
    super(body.message ?? `the server answered ${status}`);
    Object.assign(this, { status, param: body.param ?? null, code: body.code ?? null });
  }
}

/** The key that the server wants, if it wants one; remembered for this tab, or on this device. */
export const apiKey = {
  get: () => sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY) ?? "",
  set(key, onThisDevice) {
    for (const storage of [sessionStorage, localStorage]) storage.removeItem(KEY);
    if (key) (onThisDevice ? localStorage : sessionStorage).setItem(KEY, key);
  },
  isOnDevice: () => localStorage.getItem(KEY) !== null,
};

// Relative, so that the page also stands behind a proxy's path.
const url = (path) => new URL(path, document.baseURI);

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (apiKey.get()) headers.Authorization = `Bearer ${apiKey.get()}`;
  let answer;
  try {
    answer = await fetch(url(path), { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { message: "the server can't be reached; is it running?" });
  }
  if (answer.ok) return answer;
  const body = await answer.json().catch(() => ({}));
  throw new ApiError(answer.status, body.error);
}

/** Models that reply, with the kinds of media that each reads and makes. */
export async function listModels() {
  const body = await (await ask("v1/models")).json();
  return body.data.filter((model) => model.modalities.output.length);
}

/** Limits of the server, and kinds of media by the suffixes of files. */
export async function readFacts() {
  return (await ask("page/facts.json")).json();
}

/** Chunks of a streamed reply, as they come.
 *
 * @param body of `/v1/chat/completions`, as JSON text.
 * @param signal ends the reply, at the server too.
 */
export async function* streamReply(body, signal) {
  const headers = { "Content-Type": "application/json" };
  const answer = await ask("v1/chat/completions", { method: "POST", body, headers, signal });
  for await (const data of serverEvents(answer.body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new ApiError(answer.status, chunk.error);
    yield chunk;
  }
  throw new ApiError(0, { message: "the connection broke off before the reply's end" });
}

/** The data of server-sent events. */
async function* serverEvents(bytes) {
  const reader = bytes.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    // An end of an event may stand across two pieces; what is before was searched already.
    let from = Math.max(0, buffer.length - 1);
    buffer += value;
    for (let end; (end = buffer.indexOf("\n\n", from)) >= 0; from = 0) {
      const lines = buffer.slice(0, end).split("\n");
      buffer = buffer.slice(end + 2);
      const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim());
      if (data.length) yield data.join("\n");
    }
  }
}
