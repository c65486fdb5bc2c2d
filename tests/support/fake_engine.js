// A fake of the search engine's worker, with its protocol: it answers what was recorded from the
// Python server (fake_site.py), once a file that stands in for the model has loaded; before that,
// and for other messages, by the words of titles.

let lang = "en";
let recorded = null;
let meaning = false;
let uploads = 0;

self.addEventListener("message", ({ data }) => {
  if (data.load) return; // this model is small
  if (data.start) start(data.start);
  else answer(data);
});

async function start({ base, lang: language }) {
  lang = language;
  try {
    recorded = await (await fetch(new URL("data/answers.json", base))).json();
    self.postMessage({ event: "ready", by: "names" });
    await load(new URL("model/text.onnx", base), recorded.model_bytes);
    meaning = true;
    self.postMessage({ event: "ready", by: "meaning" });
  } catch (error) {
    self.postMessage({ event: "failed", text: `${lang === "ko" ? "실패" : "Failed"}: ${error.message}` });
  }
}

async function load(address, total) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  let loaded = 0;
  for await (const chunk of response.body) {
    loaded += chunk.length;
    self.postMessage({ event: "progress", loaded, total });
  }
  if (loaded !== total) throw new Error(`${loaded} bytes of ${total}`);
}

function answer({ id, path, method }) {
  const [name, query] = path.split("?");
  const parameters = new URLSearchParams(query);
  const [first, second] = name.split("/");
  const reply = (json, status = 200) => self.postMessage({ id, status, json });
  if (first === "search") return reply(search(parameters));
  if (first === "categories") return reply({ categories: recorded.categories[parameters.get("lang")] });
  if (first === "filters") return reply(recorded.filters);
  if (first === "gifs") return reply(recorded.catalog.find((gif) => gif.id.startsWith(second)));
  if (first === "pictures" && method === "POST") return reply({ picture: `picture-${(uploads += 1)}` });
  return reply({ detail: `no ${path}`, code: "unknown" }, 404);
}

function search(parameters) {
  const asked = ["q", "like", "browse", "surprise"].map((key) => parameters.get(key) ?? "");
  const known = recorded.answers[asked.join("|")];
  const all = (meaning && known) || byTitle(asked[0], meaning);
  const offset = Number(parameters.get("offset") ?? 0);
  const end = offset + Number(parameters.get("limit"));
  const gifs = all.gifs.slice(offset, end);
  return { ...all, gifs, offset, next_offset: end < all.gifs.length ? end : null };
}

function byTitle(message, isFinal) {
  const words = message.toLowerCase().split(/\W+/).filter(Boolean);
  const n = (gif) => gif.title.toLowerCase().split(" ").filter((word) => words.includes(word)).length;
  const gifs = [...recorded.catalog].sort((a, b) => n(b) - n(a)).map((gif, index) => ({ ...gif, rank: index + 1, score: 0.5, shares: { names: 1 } }));
  return { ...recorded.empty, gifs, total: gifs.length, signals: ["names"], score: "probability", provisional: !isFinal };
}
