// The service worker of a page without a server: keeps the site's files, so that a visit after the
// first needs no connection.
//
// SITE is written when the site is (retrieval/site/page.py): {version, files: {path: SHA-256}}. A
// version is kept in a cache of its own, and only with the files that its hashes name: versions do
// not mix. A newer one is fetched whole, and takes over once no tab shows the old one, or when the
// visitor asks for it.

const SITE = {};

const SCOPE = self.registration.scope; // other sites of this kind may share the origin
const PREFIX = `reaction-search ${SCOPE} `;
const CACHE = PREFIX + SITE.version;
const PICTURES = `reaction-pictures ${SCOPE}`; // of all versions: a GIF's address has its hash
const MAX_PICTURES = 1_500;
const INDEX = "index.html";
const HASH = "x-sha256"; // header of a kept file, for the next version to see whether it changed

const LARGE = /^(model|vendor)\//;
const LOADED_AFTER_MS = 20_000; // at the latest

let onLoaded;
const loaded = new Promise((resolve) => (onLoaded = resolve)); // the engine has what it needs
const storing = new Map(); // path → promise, while a file is on its way into the cache
let added = 0;

self.addEventListener("install", (event) => {
  // A first visit goes through this worker at once, and what it fetches is kept on the way.
  if (self.registration.active) event.waitUntil(keep(Object.keys(SITE.files)));
  else self.skipWaiting();
});

self.addEventListener("activate", (event) => event.waitUntil(activate()));

self.addEventListener("message", (event) => {
  if (event.data.takeOver) self.skipWaiting();
  const paths = Object.keys(SITE.files);
  if (event.data.keep === "all") onLoaded();
  if (event.data.keep === "all") event.waitUntil(keep(paths));
  if (event.data.keep === "page") event.waitUntil(keep(paths.filter((path) => !LARGE.test(path))));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const path = pathOf(request.url);
  if (request.method !== "GET" || path === null || request.headers.has("range")) return;
  if (Object.hasOwn(SITE.files, path)) event.respondWith(siteFile(path, event));
  else if (/^(media|rendition|still)\//.test(path)) event.respondWith(picture(request, event));
});

/** The path below the site's folder, without a query; null for other addresses. */
function pathOf(address) {
  const { origin, pathname } = new URL(address);
  const scope = new URL(SCOPE);
  if (origin !== scope.origin || !pathname.startsWith(scope.pathname)) return null;
  return decodeURIComponent(pathname.slice(scope.pathname.length)) || INDEX;
}

function addressOf(path) {
  return new URL(path.split("/").map(encodeURIComponent).join("/"), SCOPE).href;
}

async function activate() {
  await self.clients.claim();
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== CACHE).map((name) => caches.delete(name)));
}

async function siteFile(path, event) {
  const kept = await (await caches.open(CACHE)).match(addressOf(path));
  if (kept) return kept;
  // A browser takes no redirected answer for a page: it follows redirects by itself.
  const response = fetch(event.request.mode === "navigate" ? event.request : addressOf(path));
  const isLarge = LARGE.test(path);
  const file = response.then((given) => checked(path, given.clone(), isLarge ? engineHasLoaded() : null));
  event.waitUntil(note(path, file.then((each) => put(path, each))).catch(() => {}));
  // The large files are passed on as they come, to show progress: the engine checks their hashes.
  // A page is of its own version, and names the files that it needs.
  if (!isLarge && path !== INDEX && (await response).ok) await file;
  return response;
}

/** Hashing and storing tens of megabytes waits: the engine starts on the same cores. */
function engineHasLoaded() {
  setTimeout(onLoaded, LOADED_AFTER_MS);
  return loaded;
}

/** Have all these files in the cache; fails unless each of them is this version's. */
async function keep(paths) {
  const cache = await caches.open(CACHE);
  for (const path of paths) {
    if (await cache.match(addressOf(path))) continue;
    await (storing.get(path) ?? note(path, fetchOrCopy(path)));
  }
}

function note(path, promise) {
  storing.set(path, promise);
  const forget = () => storing.delete(path);
  promise.then(forget, forget);
  return promise;
}

/** Take the file from the version before, if it is the same one there, or else from the network. */
async function fetchOrCopy(path) {
  for (const name of await caches.keys()) {
    if (!name.startsWith(PREFIX) || name === CACHE) continue;
    const old = await (await caches.open(name)).match(addressOf(path));
    if (old?.headers.get(HASH) === SITE.files[path]) return (await caches.open(CACHE)).put(addressOf(path), old);
  }
  // Unless this is a first visit, the browser's own cache may hold the old version.
  const response = await fetch(addressOf(path), { cache: self.registration.active ? "no-cache" : "default" });
  return put(path, await checked(path, response));
}

async function put(path, { bytes, hash, headers: given }) {
  const headers = new Headers(given); // also those that a page with threads needs
  headers.delete("content-encoding");
  headers.set("content-length", bytes.byteLength);
  headers.set(HASH, hash);
  await (await caches.open(CACHE)).put(addressOf(path), new Response(bytes, { headers }));
}

/** What a response holds; fails if it is no file, or another version's. It is hashed after `when`. */
async function checked(path, response, when = null) {
  if (!response.ok) throw new TypeError(`${path}: status ${response.status}`);
  const bytes = await response.arrayBuffer();
  await when;
  const hash = hex(await crypto.subtle.digest("SHA-256", bytes));
  // Hosts write into HTML, so a page says which version it is.
  const isRight = path === INDEX ? new TextDecoder().decode(bytes).includes(`content="${SITE.version}"`) : hash === SITE.files[path];
  if (!isRight) throw new TypeError(`${path} is of another version`);
  return { bytes, hash, headers: response.headers };
}

function hex(buffer) {
  return [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function picture(request, event) {
  const cache = await caches.open(PICTURES);
  const kept = await cache.match(request, { ignoreSearch: true });
  if (kept) return kept;
  const response = await fetch(request);
  if (response.status === 200) event.waitUntil(keepPicture(cache, request, response.clone()).catch(() => {}));
  return response;
}

async function keepPicture(cache, request, response) {
  await cache.put(request, response);
  added += 1;
  if (added % 50) return;
  const all = await cache.keys();
  await Promise.all(all.slice(0, Math.max(0, all.length - MAX_PICTURES)).map((old) => cache.delete(old))); // the oldest first
}
