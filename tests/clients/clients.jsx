// The clients, with nothing of them changed, and the one setting that points each at a server.
import { GiphyFetch, setServerUrl } from "@giphy/js-fetch-api";
import { Grid } from "@giphy/react-components";
import { GifPicker } from "gif-picker-react";
import { Giphy } from "gif-picker-react/providers/giphy";
import { Tenor } from "gif-picker-react/providers/tenor";
import "gif-picker-react/style.css";
import { createRoot } from "react-dom/client";

function mount(element) {
  createRoot(document.body.appendChild(document.createElement("main"))).render(element);
}

const clicked = (gif) => {
  window.clicked = gif;
};

window.giphyFetch = (server) => {
  setServerUrl(`${server}/v1/`);
  return new GiphyFetch("any key");
};

window.showGrid = (server, message) => {
  const api = window.giphyFetch(server);
  const fetchGifs = (offset) => api.search(message, { offset, limit: 10 });
  mount(<Grid width={600} columns={3} fetchGifs={fetchGifs} onGifClick={clicked} noLink />);
};

window.showPicker = (server, name) => {
  const provider =
    name === "giphy"
      ? Giphy("any key", { baseUrl: `${server}/v1/` })
      : Tenor("any key", { baseUrl: `${server}/v2/` });
  mount(<GifPicker provider={provider} onGifClick={clicked} width={600} />);
};
