// The real clients for Node against a server; prints what they understood as JSON.
// Packages come from NODE_PATH. Exit status 3: one isn't there.

const [, , client, baseURL, picture] = process.argv;

function load(name) {
  try {
    return require(name);
  } catch (error) {
    if (error.code !== "MODULE_NOT_FOUND") throw error;
    console.error(`no ${name} in NODE_PATH`);
    process.exit(3);
  }
}

const QUESTION = [
  { type: "text", text: "What is in this picture?" },
  { type: "image_url", image_url: { url: picture } },
];
const REQUEST = "Draw a big blue car.";

async function withOpenAI() {
  const { OpenAI } = load("openai");
  const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
  const models = [];
  for await (const model of client.models.list()) models.push(model.id);
  const seen = await client.chat.completions.create({
    model: "nano",
    messages: [{ role: "user", content: QUESTION }],
  });
  const stream = await client.chat.completions.create({
    model: "nano",
    messages: [{ role: "user", content: "hello" }],
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let usage = null;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  const image = await client.images.generate({ model: "nano", prompt: REQUEST, steps: 2 });
  const response = await client.responses.create({ model: "nano", input: "hello" });
  const vectors = await client.embeddings.create({ model: "nano", input: [QUESTION[1]] });
  let refusal = null;
  try {
    await client.chat.completions.create({ model: "nano", messages: [] });
  } catch (error) {
    refusal = { status: error.status, name: error.constructor.name };
  }
  return {
    models,
    seen: seen.choices[0].message.content,
    text,
    usage: usage.total_tokens,
    image: image.data[0].b64_json.slice(0, 12),
    response: response.output_text,
    vector: vectors.data[0].embedding.length,
    refusal,
  };
}

async function withVercel() {
  const { generateText, streamText } = load("ai");
  const { createOpenAICompatible } = load("@ai-sdk/openai-compatible");
  const model = createOpenAICompatible({ name: "anymodal", baseURL, includeUsage: true })("nano");
  const content = [
    { type: "text", text: "What is in this picture?" },
    { type: "image", image: picture },
  ];
  const seen = await generateText({ model, messages: [{ role: "user", content }] });
  const stream = streamText({ model, prompt: "hello" });
  let text = "";
  for await (const piece of stream.textStream) text += piece;
  const usage = await stream.usage;
  return { seen: seen.text, text, usage: usage.totalTokens, finish: seen.finishReason };
}

const clients = { openai: withOpenAI, vercel: withVercel };
clients[client]().then((result) => console.log(JSON.stringify(result)));
