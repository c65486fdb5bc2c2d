// A GIF as JSON, with the fields of the server's (retrieval.api.gifs), and where its pictures are.

const round = (value, digits) => Number(value.toFixed(digits));

/** Where a static site has the files of a GIF, relative to its root. */
export function addressOf(folder, id, rest) {
  return `${folder}/${id.slice(0, 2)}/${id}${rest}`;
}

/**
 * `result` is {gif, rank, score, frames, folded, parts, words, reactions} with numbers of GIFs;
 * one that was not asked for has no rank, and without a score no frames.
 */
export function gifJson(result, collection, facts, { isRanked = true, hasScore = true } = {}) {
  const { catalog } = collection;
  const { columns } = catalog;
  const { gif } = result;
  const { title_chars, card_width, thumb_width, films, recognised } = facts.constants;
  const id = columns.id[gif];
  const suffix = columns.suffix[gif] ?? "";
  const web = columns.web[gif];
  const isLocal = !catalog.isOwn && columns.suffix[gif] !== null && !web;
  const file = isLocal ? addressOf("media", id, suffix) : web;
  const small = (folder, width) => (isLocal ? addressOf(folder, id, `/${width}.webp`) : file);
  const best = result.frames.reduce((best, frame) => (frame.score > best.score ? frame : best), result.frames[0]);
  const stillOf = (frame, width) => (isLocal && frame === columns.frame[gif] ? small("still", width) : null);
  const shared = Object.entries(result.reactions ?? {}).filter(([, p]) => p >= recognised);
  const source = catalog.valueOf("source", gif);
  return {
    id,
    title: columns.title[gif].slice(0, title_chars),
    emoji: columns.emoji[gif],
    width: columns.width[gif],
    height: columns.height[gif],
    animated: columns.n_frames[gif] > 1,
    film: films.includes(suffix),
    duration_ms: columns.duration_ms[gif],
    rank: isRanked ? result.rank : null,
    score: hasScore ? round(result.score, 6) : null,
    file,
    file_name: columns.file_name[gif],
    bytes: isLocal ? columns.bytes[gif] : null,
    is_web: Boolean(web),
    preview: small("rendition", card_width),
    thumb: small("rendition", thumb_width),
    still: small("still", card_width),
    frames: hasScore
      ? result.frames.map(({ index, time_ms, score }) => ({ index, time_ms, score: round(score, 4), still: stillOf(index, thumb_width) }))
      : [],
    best_frame: hasScore ? best.index : null,
    best_frame_ms: hasScore ? best.time_ms : null,
    shares: sharesOf(result.parts ?? {}),
    words: !result.words ? null : {
      ...result.words,
      text: result.words.text.slice(0, title_chars),
      box: result.words.box.map((edge) => Math.min(1, Math.max(0, edge))),
      still: stillOf(result.words.frame, card_width),
    },
    reactions: Object.fromEntries(shared.map(([name, p]) => [name, round(p, 4)])),
    expresses: shared.length ? (result.parts?.reaction ?? 0) > 0 : null,
    tags: catalog.tagsOf(gif),
    license: catalog.valueOf("license", gif),
    attribution: catalog.valueOf("attribution", gif),
    source,
    source_is_web: catalog.webSources.has(source),
    alike: (result.folded ?? []).map((other) => ({ id: columns.id[other], title: columns.title[other].slice(0, title_chars) })),
  };
}

/** Each signal's share in what speaks for a GIF, the largest first. */
function sharesOf(parts) {
  const positive = Object.entries(parts).map(([name, part]) => [name, Math.max(0, part)]);
  const total = positive.reduce((sum, [, part]) => sum + part, 0) || 1;
  positive.sort((a, b) => b[1] - a[1]);
  return Object.fromEntries(positive.map(([name, part]) => [name, round(part / total, 4)]));
}
