import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ReportLine } from '../../store/campaign/report.ts';
import { outcomeLabel } from '../words/campaign.ts';
import { embedJson, type Html, html, trusted } from './html.ts';
import { inBatches } from './lines.ts';
import { ROW_COLUMNS, toChunk } from './rows.ts';
import { type Facts, renderSummary } from './summary.ts';
import { createTally } from './tally.ts';

/** Rows that are embedded together. */
const CHUNK_ROWS = 1_000;

/**
 * A report as one page for people: it opens from disk and needs nothing else, no network and no other file.
 *
 * The rows come first, as data that a browser does not show, and then what they add up to: so one reading is enough, what
 * it holds in memory hardly grows with the campaign, and the numbers are those of the very rows below them.
 */
export async function* toPage(lines: AsyncIterable<ReportLine>, facts: Facts): AsyncGenerator<string> {
  const [style, reader] = await Promise.all([readPart('style.css'), readPart('reader.js')]);
  const tally = createTally(facts.campaign.name);
  yield String(renderHead(facts, style, reader));
  for await (const batch of inBatches(lines, CHUNK_ROWS)) {
    for (const line of batch) tally.add(line);
    yield `<script type="application/json">${embedJson(toChunk(batch, facts.campaign.name))}</script>\n`;
  }
  yield String(html`
<a class="skip" href="#table">Skip to table</a>
${renderSummary(facts, tally.summary(facts.windows), renderTable())}
<script>${trusted(reader)}</script>
</body>
</html>
`);
}

function renderHead({ campaign }: Facts, style: string, reader: string): Html {
  // Only this page's own script and style may run, and nothing may be fetched or sent anywhere.
  const policy = [
    "default-src 'none'",
    `script-src '${digest(reader)}'`,
    `style-src '${digest(style)}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${campaign.name} – Standdown report</title>
<style>${trusted(style)}</style>
</head>
<body>
`;
}

function renderTable(): Html {
  const heads = ROW_COLUMNS.map(
    ({ title, kind, repeats, onlyIfVaried }) =>
      html`<th scope="col" class="${kind}" data-kind="${kind}" data-repeats="${repeats ? 'yes' : 'no'}" data-varied="${onlyIfVaried ? 'yes' : 'no'}"><button type="button">${title}</button></th>
`,
  );
  return html`
<section>
<h2 id="every-action">Actions</h2>
<noscript><p>The table needs JavaScript. Its rows are in this file even so.</p></noscript>
<div id="table" data-open="${outcomeLabel('open')}" hidden>
<form id="controls" role="search">
<div><label for="search">Search</label><input id="search" type="search" autocomplete="off" spellcheck="false" placeholder="device, id, error …"></div>
<div><label for="outcome">Outcome</label><select id="outcome"><option value="">all</option></select></div>
<div><label for="type">Type</label><select id="type"><option value="">all</option></select></div>
<div><label for="size">Rows per page</label><select id="size"><option>50</option><option>100</option><option>500</option></select></div>
</form>
<p id="found" role="status"></p>
<div class="scroll" role="region" aria-labelledby="every-action" tabindex="0">
<table id="rows">
<thead><tr>
${heads}</tr></thead>
<tbody></tbody>
</table>
</div>
<nav aria-label="Pages of the table">
<button type="button" id="first">First</button>
<button type="button" id="previous">Previous</button>
<span id="page"></span>
<button type="button" id="next">Next</button>
<button type="button" id="last">Last</button>
</nav>
</div>
</section>`;
}

/** With the line breaks that a browser reads, or the hash would be another's. */
async function readPart(name: string): Promise<string> {
  const text = await readFile(new URL(name, import.meta.url), 'utf8');
  return text.replaceAll('\r\n', '\n');
}

function digest(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
