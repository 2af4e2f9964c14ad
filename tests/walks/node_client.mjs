// OpenAI's own client for Node, against the server at argv[2]. Says what it got as one line of JSON.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "unused", maxRetries: 0 });
const messages = [{ role: "user", content: "Hello" }];
const tools = [{ type: "function", function: { name: "look", parameters: { type: "object", properties: {} } } }];

const whole = await client.chat.completions.create({ model: "gpt-5-nano", messages });
let streamed = "", usage = null;
const options = { include_usage: true };
for await (const chunk of await client.chat.completions.create({ model: "auto", messages, stream: true, stream_options: options })) {
  streamed += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}
const called = await client.chat.completions.stream({ model: "gpt-5-nano", messages: [{ role: "user", content: "call" }], tools }).finalChatCompletion();
const embedded = await client.embeddings.create({ model: "text-embedding-3-small", input: ["a", "b"] });
const response = await client.responses.create({ model: "gpt-5-nano", input: "Hello" });
const models = [];
for await (const model of client.models.list()) models.push(model.id);
let refused = "";
try {
  await client.chat.completions.create({ model: "gpt-5-nan", messages });
} catch (error) {
  refused = `${error.constructor.name} ${error.code}`;
}
console.log(JSON.stringify({
  whole: whole.choices[0].message.content,
  streamed,
  total: usage.total_tokens,
  call: called.choices[0].message.tool_calls[0].function,
  vectors: embedded.data.map((row) => row.embedding.length),
  first: embedded.data[0].embedding[0],
  response: response.output_text,
  models,
  refused,
}));
