"""The texts of the page in every language it is available in.

The language of queries is a matter of the checkpoint, not of this file.
"""

from __future__ import annotations

LANGUAGES = {"en": "English", "ko": "한국어"}

TEXTS: dict[str, tuple[str, str]] = {  # key: (English, Korean)
    "title": ("Search Reaction GIFs with CLIP", "CLIP으로 리액션 GIF 찾기"),
    "sentence": (
        "Type a message and get the animated reactions that answer it, found by their frames.",
        "메시지를 입력하면 어울리는 움직이는 리액션을 프레임을 보고 찾아 드립니다.",
    ),
    "model_card": ("The model and its limits", "모델과 그 한계"),
    "motivation_title": ("Why reaction GIFs?", "왜 리액션 GIF인가요?"),
    "motivation": (
        "A reaction GIF says in two seconds what a sentence cannot: the raised eyebrow, the slow "
        "clap, the dance. Finding the right one by keyword is hard, because nobody tags a GIF with "
        "the message it answers. This page compares your message with the frames of every GIF "
        "instead, in the shared space of a CLIP encoder.",
        "리액션 GIF는 문장으로 전하기 어려운 것을 2초 만에 말해 줍니다. 하지만 GIF에는 어떤 "
        "메시지에 어울리는지 적혀 있지 않아 키워드로 찾기가 어렵습니다. 이 페이지는 CLIP 인코더의 "
        "공통 공간에서 메시지를 모든 GIF의 프레임과 직접 비교합니다.",
    ),
    "examples": ("Examples", "예시"),
    "examples_help": ("Pick one to see its results.", "하나를 골라 결과를 보세요."),
    "message": ("Write text you want to get reaction for", "리액션을 받고 싶은 글을 쓰세요"),
    "message_help": (
        "One message, up to 2,000 characters. Emoji count.",
        "최대 2,000자의 메시지 하나. 이모지도 반영됩니다.",
    ),
    "other_ways": ("Ask in other ways", "다른 방법으로 찾기"),
    "not": ("But not …", "이런 것은 빼고 …"),
    "not_help": (
        "What the reactions should not be about, for example: angry",
        "리액션에 없었으면 하는 것, 예: angry",
    ),
    "not_weight": ("Weight of “but not”", "'빼고'의 비중"),
    "not_weight_help": (
        "0 ignores it, 1 gives it the weight of the message.",
        "0이면 무시하고 1이면 메시지와 같은 비중입니다.",
    ),
    "chat": ("A pasted chat", "붙여 넣은 대화"),
    "chat_help": (
        "One message a line. The last line counts most; each line before it counts half as much.",
        "한 줄에 메시지 하나. 마지막 줄이 가장 중요하고 앞줄은 절반씩 줄어듭니다.",
    ),
    "picture": ("A picture to react to", "반응할 사진"),
    "picture_help": (
        "JPG, PNG, WebP, GIF, MP4 or WebM. It stays in memory and is never written.",
        "JPG, PNG, WebP, GIF, MP4, WebM. 메모리에만 있고 저장되지 않습니다.",
    ),
    "picture_weight": ("Weight of the picture", "사진의 비중"),
    "picture_weight_help": (
        "1 gives it the weight of the message.",
        "1이면 메시지와 같은 비중입니다.",
    ),
    "narrow": ("Narrow it", "결과 좁히기"),
    "how_many": ("How many", "개수"),
    "how_many_help": ("Reactions on the page.", "페이지에 보일 리액션 수입니다."),
    "min_score": ("Minimum score", "최소 점수"),
    "min_score_help": (
        "The cosine between query and frames, from -1 to 1. What is below is cut off.",
        "질문과 프레임 사이의 코사인(-1~1). 이보다 낮으면 보이지 않습니다.",
    ),
    "tags": ("Tags", "태그"),
    "tags_help": ("At least one of these.", "이 중 하나 이상."),
    "licenses": ("Licences", "라이선스"),
    "licenses_help": ("Any of these; none means all.", "이 중 하나; 비우면 전체."),
    "sources": ("Sources", "출처"),
    "sources_help": ("Any of these; none means all.", "이 중 하나; 비우면 전체."),
    "animated_only": ("Animated only", "움직이는 것만"),
    "animated_only_help": ("Leave stills out.", "정지 이미지는 뺍니다."),
    "fold": ("Fold near-duplicates", "비슷한 것 접기"),
    "fold_help": (
        "Show animations that look alike once; the card says how many it stands for.",
        "비슷해 보이는 것은 한 번만 보여 주고 몇 개인지 표시합니다.",
    ),
    "rank_mine": ("Rank my pictures instead", "내 사진에서 찾기"),
    "rank_mine_help": (
        "Up to {n} files, {mb} MB together: JPG, PNG, WebP, GIF, MP4. They are "
        "ranked instead of the library, animated ones by all their frames, and never written.",
        "최대 {n}개, 합계 {mb}MB: JPG, PNG, WebP, GIF, MP4. 라이브러리 대신 "
        "순위를 매기며 저장하지 않습니다.",
    ),
    "unread": ("{n} of your files could not be read", "파일 {n}개를 읽을 수 없습니다"),
    "your_pictures": ("your pictures", "내 사진"),
    "starter": ("the starter library", "기본 라이브러리"),
    "play": ("Play GIFs", "GIF 재생"),
    "play_help": (
        "Off shows each reaction's best frame; Play on a card moves that one.",
        "끄면 가장 잘 맞는 프레임만 보이고, 카드의 재생으로 하나만 움직입니다.",
    ),
    "play_one": ("Play", "재생"),
    "searched": (
        "{shown} of {total} reactions in {where}, {ms} ms, {encoder}",
        "{where}의 리액션 {total}개 중 {shown}개, {ms} ms, {encoder}",
    ),
    "not_shown": (
        "{n} GIFs cannot be shown: their files are gone, or lie outside of a library that was not "
        "built on this machine. Build it again here, or build it with --copy-media.",
        "GIF {n}개를 보여 줄 수 없습니다. 파일이 없거나, 이 컴퓨터에서 만들지 않은 라이브러리의 "
        "밖에 있습니다. 여기서 다시 만들거나 --copy-media로 만드세요.",
    ),
    "stands_for": ("+{n} alike", "+{n} 비슷함"),
    "why": ("Why?", "왜?"),
    "why_title": ("Why this one?", "왜 이것인가요?"),
    "more": ("More like this", "비슷한 것 더"),
    "more_like": ("More like “{title}”", "“{title}”와(과) 비슷한 것"),
    "clear": ("Back to the message", "메시지로 돌아가기"),
    "best_frame": (
        "Best frame: {n}, at {s:.1f} s. Every frame's score:",
        "가장 잘 맞는 프레임: {n}번, {s:.1f}초. 프레임별 점수:",
    ),
    "fits": ("Does it fit?", "잘 어울리나요?"),
    "fits_yes": ("Yes", "네"),
    "fits_no": ("No", "아니요"),
    "fits_kept": (
        "Your message is kept with your answer, to improve the search:",
        "검색을 개선하기 위해 메시지를 답변과 함께 보관합니다:",
    ),
    "fits_where": (
        "Does a reaction fit? Say so under “Why?”.",
        "리액션이 잘 어울리나요? '왜?'에서 알려 주세요.",
    ),
    "from": ("Source", "출처"),
    "license": ("Licence", "라이선스"),
    "attribution": ("Attribution", "저작자"),
    "unknown": ("unknown", "알 수 없음"),
    "take": ("Take it", "가져가기"),
    "download": ("Download", "다운로드"),
    "link": ("Link", "링크"),
    "markdown": ("Markdown", "마크다운"),
    "same": ("It stands for these, which look alike:", "비슷해서 접힌 것:"),
    "start": (
        "Pick an example, type a message, or add a picture to react to.",
        "예시를 고르거나, 메시지를 쓰거나, 사진을 올려 보세요.",
    ),
    "nothing": (
        "Nothing scores {min_score:.2f} or more within these filters. Lower the minimum score, or "
        "allow more under “Narrow it”.",
        "이 조건에서 {min_score:.2f}점 이상인 것이 없습니다. 최소 점수를 낮추거나 조건을 넓혀 "
        "보세요.",
    ),
    "nothing_filtered": (
        "No GIF passes these filters. Allow more under “Narrow it”.",
        "조건에 맞는 GIF가 없습니다. 조건을 넓혀 보세요.",
    ),
    "loading_index": ("Opening the index …", "색인을 여는 중 …"),
    "loading_checkpoint": ("Loading the checkpoint …", "체크포인트를 불러오는 중 …"),
    "reading_pictures": ("Reading your pictures …", "사진을 읽는 중 …"),
    "language": ("Language", "언어"),
    "library_title": ("What is in {where}", "{where}에 있는 것"),
    "gifs": ("GIFs", "GIF"),
    "frames": ("Embedded frames", "임베딩된 프레임"),
    "animated": ("Animated", "움직이는 것"),
    "megabytes": ("Megabytes", "메가바이트"),
    "unknown_license": (
        "{n} GIFs have no known licence. Do not publish them before you know it.",
        "라이선스를 알 수 없는 GIF가 {n}개 있습니다. 확인하기 전에는 공개하지 마세요.",
    ),
    "chart_license": ("Licence", "라이선스"),
    "chart_source": ("Source", "출처"),
    "chart_duration": ("Duration (s)", "길이(초)"),
    "chart_size": ("Size (kB)", "크기(kB)"),
    "map": ("A map of the embeddings", "임베딩 지도"),
    "map_help": (
        "Near points look alike to the encoder; distances between far groups mean nothing. Point "
        "at one to see its GIF.",
        "가까운 점은 인코더에게 비슷해 보입니다. 먼 무리 사이의 거리는 의미가 없습니다. 점에 "
        "마우스를 올리면 GIF가 보입니다.",
    ),
    "duplicates": ("{n} groups of near-duplicates", "비슷한 것의 묶음 {n}개"),
    "table": ("Every GIF", "모든 GIF"),
    "table_filter": ("Filter the table", "표에서 찾기"),
    "table_filter_help": (
        "Rows whose title, tags, emoji or licence contain this.",
        "제목, 태그, 이모지, 라이선스에 이 글자가 있는 행.",
    ),
    "table_download": ("Download as CSV", "CSV로 다운로드"),
    "about_title": ("About", "소개"),
    "about": (
        "A CLIP encoder puts pictures and texts into one space. Every frame of every GIF in the "
        "library was embedded beforehand; your message is embedded when you ask, and the GIFs "
        "whose frames lie nearest are shown. Titles and tags are shown, never matched.",
        "CLIP 인코더는 그림과 글을 같은 공간에 놓습니다. 라이브러리의 모든 GIF 프레임은 미리 "
        "임베딩되어 있고, 메시지와 가장 가까운 프레임을 가진 GIF를 보여 줍니다. 제목과 태그는 "
        "보여 주기만 하고 검색에는 쓰지 않습니다.",
    ),
    "rebuild": ("Over your own GIFs", "내 GIF로 만들기"),
    "rebuild_help": (
        "One command builds an index over a folder of yours; another serves it.",
        "명령 하나로 폴더의 색인을 만들고, 다른 하나로 서비스합니다.",
    ),
    "cite": ("How to cite", "인용 방법"),
    "model_card_tab": ("Model card of mini", "mini 모델 카드"),
    "data_card_tab": ("Data card", "데이터 카드"),
    "loaded": ("What is loaded here", "지금 불러온 것"),
    "page_search": ("Search", "검색"),
    "page_library": ("Library", "라이브러리"),
    "page_about": ("About", "소개"),
}


def translate(language: str, key: str, **values: object) -> str:
    """The text of a key in a language ("en", "ko"), with the values filled in."""
    text = TEXTS[key][list(LANGUAGES).index(language)]
    return text.format(**values) if values else text
