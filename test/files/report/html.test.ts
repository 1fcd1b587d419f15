import assert from 'node:assert/strict';
import { it } from 'node:test';
import { embedJson, html, trusted } from '../../../src/files/report/html.ts';

const ESCAPED: [value: string, shown: string][] = [
  ['<script>alert("x")</script>', '&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;'],
  [`' onclick='x`, '&#39; onclick=&#39;x'],
  ['a &amp; b', 'a &amp;amp; b'],
  ['a\u0000b\u0007\u0085c', 'a\ufffdb\ufffd\ufffdc'],
  ['tab\tand\nlines', 'tab\tand\nlines'],
];

for (const [value, shown] of ESCAPED) {
  it(`${JSON.stringify(value)} is shown as it is`, () =>
    assert.equal(String(html`<p title="${value}">`), `<p title="${shown}">`));
}

it('pieces of a page stay what they are, alone and in lists', () => {
  const items = ['a', '<b>'].map((text) => html`<li>${text}</li>`);
  assert.equal(String(html`<ul>${items}</ul>${3}`), '<ul><li>a</li><li>&lt;b&gt;</li></ul>3');
  assert.equal(String(html`${trusted('<b>')}`), '<b>');
});

it('JSON in a page ends no element, and says the same', () => {
  const value = { text: '</script><!--<script>', more: '\u2028&amp;' };
  const embedded = String(embedJson(value));
  assert.doesNotMatch(embedded, /</);
  assert.deepEqual(JSON.parse(embedded), value);
});
