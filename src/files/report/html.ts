/** A piece of a page that is safe to put into it. Only `html` and `trusted` make one. */
export class Html {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

export type HtmlValue = string | number | Html | readonly Html[];

/** Writes a piece of a page. Every value is escaped unless it is such a piece itself, so nothing from outside can act. */
export function html(texts: TemplateStringsArray, ...values: HtmlValue[]): Html {
  return new Html(String.raw({ raw: texts }, ...values.map(toText)));
}

/** Puts a text into a page as it is: only for what is this program's own, such as its style and its script. */
export function trusted(text: string): Html {
  return new Html(text);
}

/** JSON for a `<script>` of data: with no `<` in it, it cannot end that element, nor begin a comment. */
export function embedJson(value: unknown): Html {
  return new Html(JSON.stringify(value).replaceAll('<', '\\u003c'));
}

function toText(value: HtmlValue): string {
  if (value instanceof Html) return value.toString();
  // Each by itself: a list from outside, whatever its type was said to be, is no piece of a page.
  return Array.isArray(value) ? value.map(toText).join('') : escapeHtml(String(value));
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Characters that control something, or turn text around, show as what cannot be shown: they have no business in a report. */
function escapeHtml(text: string): string {
  return text
    .replace(/[&<>"']/g, (character) => ESCAPES[character] ?? '')
    .replace(/[^\P{Cc}\t\n\r]|\p{Bidi_Control}/gu, '\ufffd');
}
