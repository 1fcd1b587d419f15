/** What goes over the wire, before any fault is done to it. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** How the Defender API labels its JSON. */
const ODATA_JSON = 'application/json; odata.metadata=minimal; odata.streaming=true';

/** Error codes by status, for answers that name none themselves. */
const USUAL_CODES: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'ResourceNotFound',
  429: 'TooManyRequests',
};

export interface ErrorText {
  code?: string | undefined;
  message?: string | undefined;
}

export function jsonAnswer(status: number, value: unknown): Answer {
  return { status, headers: { 'content-type': ODATA_JSON }, body: JSON.stringify(value) };
}

/** An error as the Defender API words it; `target` is the id that its support asks for. */
export function errorAnswer(status: number, text: ErrorText, target: string): Answer {
  const code = text.code ?? USUAL_CODES[status] ?? 'InternalServerError';
  return jsonAnswer(status, {
    error: { code, message: text.message ?? `The request failed: ${code}.`, target },
  });
}

export function htmlAnswer(status: number, body?: string): Answer {
  const page =
    body ?? `<html><head><title>${status}</title></head><body><h1>${status}</h1><hr>gateway</body></html>`;
  return { status, headers: { 'content-type': 'text/html; charset=utf-8' }, body: page };
}

export function withHeader(answer: Answer, name: string, value: string): Answer {
  return { ...answer, headers: { ...answer.headers, [name]: value } };
}
