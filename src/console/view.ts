import { type Html, html } from '../files/report/html.ts';

/** What a page shows. */
export interface View {
  title: string;
  /** Where it stands among the others: links to what is above it, outermost first. */
  trail?: readonly Link[];
  /** Parts that are sent again when they change, by id. Each stands in the body once, by `live`. */
  regions?: Readonly<Record<string, Html>>;
  body: Html;
  /** Scripts and styles that it needs besides the common ones. */
  scripts?: readonly string[];
  styles?: readonly string[];
  /** For those scripts: sent at every look. */
  data?: unknown;
  /** Whether a browser may keep it for whoever goes back: it shows nothing that changes. Default: no. */
  mayBeKept?: boolean;
  /** After so many ms it is looked at again, while somebody sees it. Default: never. */
  everyMs?: number;
}

export interface Link {
  href: string;
  text: string;
}

/** Where a region stands. */
export function live(regions: Readonly<Record<string, Html>>, id: string): Html {
  return html`<div id="${id}">${regions[id] ?? ''}</div>\n`;
}

/** Who looks, and what their pages need to send forms. */
export interface Viewer {
  name: string;
  mayAct: boolean;
  /** Whether there is a session to end. */
  signedIn: boolean;
  formKey: string;
}

/** The field that every form has to send. */
export function formKeyField(viewer: Pick<Viewer, 'formKey'>): Html {
  return html`<input type="hidden" name="formKey" value="${viewer.formKey}">`;
}

/** A whole page. */
export function renderPage(view: View, viewer: Viewer | null): string {
  const { title, trail = [], body, scripts = [], styles = [], everyMs } = view;
  const links = trail.map(({ href, text }) => html`<a href="${href}">${text}</a>\n`);
  const isLive = everyMs !== undefined;
  return String(html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} – Standdown</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/report.css">
<link rel="stylesheet" href="/assets/console.css">
${styles.map((name) => html`<link rel="stylesheet" href="/assets/${name}">\n`)}<script type="module" src="/assets/console.js"></script>
${scripts.map((name) => html`<script type="module" src="/assets/${name}"></script>\n`)}</head>
<body class="console" data-live="${isLive ? 'yes' : 'no'}">
<a class="skip" href="#main">Skip to content</a>
<header class="top">
<nav class="trail" aria-label="Breadcrumb">
${trail.length > 0 ? links : html`<strong>Standdown</strong>`}</nav>
${viewer ? renderViewer(viewer) : ''}
</header>
<p id="connection" role="status" hidden></p>
<main id="main" tabindex="-1">
<h1>${title}</h1>
${body}
</main>
</body>
</html>
`);
}

function renderViewer(viewer: Viewer): Html {
  const out = html`<form method="post" action="/sign-out">${formKeyField(viewer)}<button>Sign out</button></form>`;
  return html`<div class="viewer"><span>${viewer.name}${viewer.mayAct ? '' : ' (read only)'}</span>${viewer.signedIn ? out : ''}</div>`;
}
