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
  const draw = { model: "nano", messages: [{ role: "user", content: REQUEST }], steps: 2 };
  const drawn = await client.chat.completions.create(draw);
  const pieces = await client.chat.completions.create({ ...draw, stream: true });
  let images = 0;
  for await (const chunk of pieces) images += chunk.choices[0]?.delta?.images?.length ?? 0;
  const called = await client.chat.completions.create({
    model: "caller",
    messages: [{ role: "user", content: "a" }],
    tools: [{ type: "function", function: { name: "weather", parameters: { type: "object" } } }],
  });
  const events = new Set();
  const answer = await client.responses.create({
    model: "nano",
    input: REQUEST,
    stream: true,
    steps: 2,
    tools: [{ type: "image_generation" }],
  });
  for await (const event of answer) events.add(event.type);
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
    drawn: drawn.choices[0].message.images.map((each) => each.image_url.url.slice(0, 22)),
    images,
    call: called.choices[0].message.tool_calls[0].function,
    events: [...events],
    refusal,
  };
}

async function withVercel() {
  const { generateImage, generateText, jsonSchema, stepCountIs, streamText, tool } = load("ai");
  const { createOpenAICompatible } = load("@ai-sdk/openai-compatible");
  const provider = createOpenAICompatible({ name: "anymodal", baseURL, includeUsage: true });
  const model = provider("nano");
  const content = [
    { type: "text", text: "What is in this picture?" },
    { type: "image", image: picture },
  ];
  const seen = await generateText({ model, messages: [{ role: "user", content }] });
  const stream = streamText({ model, prompt: "hello" });
  let text = "";
  for await (const piece of stream.textStream) text += piece;
  const usage = await stream.usage;
  const weather = tool({
    description: "of a city",
    inputSchema: jsonSchema({ type: "object", properties: { city: { type: "string" } } }),
    execute: async ({ city }) => `sunny in ${city}`,
  });
  const called = await generateText({
    model: provider("caller"),
    prompt: "a",
    tools: { weather },
    stopWhen: stepCountIs(2),
  });
  const drawn = await generateImage({
    model: provider.imageModel("nano"),
    prompt: REQUEST,
    providerOptions: { anymodal: { steps: 2 } },
  });
  return {
    seen: seen.text,
    text,
    usage: usage.totalTokens,
    finish: seen.finishReason,
    results: called.steps[0].toolResults.map((each) => each.output),
    image: drawn.images.map((each) => each.mediaType),
  };
}

const clients = { openai: withOpenAI, vercel: withVercel };
clients[client]().then((result) => console.log(JSON.stringify(result)));
