/*
 * The table of a report: reads the rows that the page carries, filters, sorts and pages them. Runs in the browser, from
 * a file, without a network. Whatever comes from outside is only ever set as text.
 */
(() => {
  /** More rows than this are not printed: no printer needs them, and the browser would take minutes. */
  const MOST_PRINTED = 20000;
  const SEARCH_DELAY_MS = 150;
  /** A longer text is cut off where it is shown. */
  const LONG_TEXT = 48;

  const byId = (id) => document.getElementById(id);
  const table = byId('rows');
  const columns = [...table.tHead.rows[0].cells].map((cell, index) => ({
    cell,
    index,
    kind: cell.dataset.kind,
    title: cell.textContent.trim(),
  }));
  const OUTCOME = columns.findIndex((column) => column.kind === 'outcome');
  const TYPE = columns.findIndex((column) => column.title === 'Type');

  /** What is shown for an action without an outcome. */
  const PENDING = byId('table').dataset.open;

  const all = readRows();
  const state = { rows: all, page: 0, sort: null, descending: false };

  hideEmptyColumns();
  fillChoices(byId('outcome'), OUTCOME);
  fillChoices(byId('type'), TYPE);
  listen();
  filter();
  byId('table').hidden = false;

  /** Every row as a list of values, its repeated texts put back. */
  function readRows() {
    const repeats = columns.map((column) => column.cell.dataset.repeats === 'yes');
    const rows = [];
    for (const script of document.querySelectorAll('script[type="application/json"]')) {
      const chunk = JSON.parse(script.textContent);
      for (const row of chunk.rows) {
        for (let i = 0; i < row.length; i++) {
          if (repeats[i] && row[i] !== null) row[i] = chunk.texts[row[i]];
        }
        rows.push(row);
      }
      script.remove();
    }
    return rows;
  }

  function hideEmptyColumns() {
    for (const column of columns) {
      const first = all.length > 0 ? all[0][column.index] : null;
      const isDull = column.cell.dataset.varied === 'yes' && all.every((row) => row[column.index] === first);
      column.isShown = !isDull && all.some((row) => row[column.index] !== null);
      column.cell.hidden = !column.isShown;
    }
  }

  function fillChoices(select, index) {
    const counts = new Map();
    for (const row of all) counts.set(row[index], (counts.get(row[index]) ?? 0) + 1);
    const values = [...counts].filter(([value]) => value !== null).sort((a, b) => b[1] - a[1]);
    for (const [value, count] of values.slice(0, 100)) {
      const label = format(columns[index], value);
      select.add(new Option(`${label} (${count.toLocaleString('en-US')})`, value));
    }
    select.disabled = values.length < 2;
  }

  function listen() {
    let waiting;
    byId('search').addEventListener('input', () => {
      clearTimeout(waiting);
      waiting = setTimeout(filter, SEARCH_DELAY_MS);
    });
    byId('controls').addEventListener('submit', (event) => event.preventDefault());
    for (const id of ['outcome', 'type']) byId(id).addEventListener('change', filter);
    byId('size').addEventListener('change', () => go(0));
    byId('first').addEventListener('click', () => go(0));
    byId('previous').addEventListener('click', () => go(state.page - 1));
    byId('next').addEventListener('click', () => go(state.page + 1));
    byId('last').addEventListener('click', () => go(pages() - 1));
    for (const column of columns) {
      column.cell.querySelector('button').addEventListener('click', () => sortBy(column));
    }
    window.addEventListener('beforeprint', showForPrint);
    window.addEventListener('afterprint', show);
  }

  /** Rows with every word that is searched for, anywhere in what they say. */
  function filter() {
    const words = byId('search').value.toLowerCase().split(/\s+/).filter(Boolean);
    const outcome = byId('outcome').value;
    const type = byId('type').value;
    const shown = columns.filter((column) => column.isShown);
    state.rows = all.filter((row) => {
      if (outcome && row[OUTCOME] !== outcome) return false;
      if (type && row[TYPE] !== type) return false;
      if (words.length === 0) return true;
      const text = shown
        .map((column) => format(column, row[column.index]))
        .join('\n')
        .toLowerCase();
      return words.every((word) => text.includes(word));
    });
    sort();
    go(0);
  }

  function sortBy(column) {
    state.descending = state.sort === column && !state.descending;
    state.sort = column;
    for (const other of columns) other.cell.removeAttribute('aria-sort');
    column.cell.setAttribute('aria-sort', state.descending ? 'descending' : 'ascending');
    sort();
    go(0);
  }

  /** What says nothing comes last, whichever way. */
  function sort() {
    if (state.sort === null) return;
    const { index } = state.sort;
    const sign = state.descending ? -1 : 1;
    const keys = new Map();
    const keyOf = (value) => {
      if (typeof value !== 'string') return value;
      if (!keys.has(value)) keys.set(value, value.toLowerCase());
      return keys.get(value);
    };
    state.rows.sort((a, b) => {
      const [left, right] = [keyOf(a[index]), keyOf(b[index])];
      if (left === right) return 0;
      if (left === null || right === null) return left === null ? 1 : -1;
      return left < right ? -sign : sign;
    });
  }

  function size() {
    return Number(byId('size').value);
  }

  function pages() {
    return Math.max(1, Math.ceil(state.rows.length / size()));
  }

  function go(page) {
    state.page = Math.min(Math.max(0, page), pages() - 1);
    show();
  }

  function show() {
    const from = state.page * size();
    draw(from, from + size());
    const { page } = state;
    byId('first').disabled = byId('previous').disabled = page === 0;
    byId('next').disabled = byId('last').disabled = page === pages() - 1;
    byId('page').textContent = `Page ${count(page + 1)} of ${count(pages())}`;
    tell(from, from + size());
  }

  /** On paper there are no pages to turn. */
  function showForPrint() {
    draw(0, MOST_PRINTED);
    tell(0, MOST_PRINTED);
  }

  function tell(from, to) {
    const found = state.rows.length;
    const some = found === all.length ? '' : ` (${count(all.length)} total)`;
    const shown = `Rows ${count(from + 1)} to ${count(Math.min(to, found))} of ${count(found)}`;
    byId('found').textContent = `${found === 0 ? 'No matching rows' : shown}${some}`;
  }

  function draw(from, to) {
    const body = document.createElement('tbody');
    for (const row of state.rows.slice(from, to)) {
      const line = body.insertRow();
      for (const column of columns) if (column.isShown) line.append(cellOf(column, row[column.index]));
    }
    table.tBodies[0].replaceWith(body);
  }

  function cellOf(column, value) {
    const cell = document.createElement('td');
    cell.className = column.kind;
    const text = format(column, value);
    if (text.length > LONG_TEXT) {
      cell.classList.add('long');
      cell.title = text;
    }
    if (column.kind === 'outcome') {
      const mark = document.createElement('span');
      mark.className = 'mark';
      mark.dataset.outcome = value;
      cell.append(mark, text);
    } else cell.textContent = text;
    return cell;
  }

  function format(column, value) {
    if (value === null) return '';
    if (column.kind === 'outcome' && value === 'open') return PENDING;
    if (column.kind !== 'time') return String(value);
    return new Date(value).toISOString().slice(0, 19).replace('T', ' ');
  }

  function count(number) {
    return number.toLocaleString('en-US');
  }
})();
