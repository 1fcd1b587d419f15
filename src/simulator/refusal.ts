import { unreachable } from '../base/errors.ts';
import { type Answer, errorAnswer, withHeader } from './answer.ts';
import type { Quota } from './limiter.ts';

/** How a 429 looks; servers and gateways differ. */
export interface RefusalStyle {
  /** Default `seconds`: whole seconds, rounded up, at least 1. `http-date` is rounded up in the same way. */
  retryAfter: 'seconds' | 'http-date' | 'none';
  /** Default `TooManyRequests`; the text `429` is common too. */
  code: 'TooManyRequests' | '429';
  /** Default `full`: names the limit and the seconds to wait. `bare` says neither. */
  message: 'full' | 'bare';
}

export interface Refusal {
  waitMs: number;
  quota: Quota;
}

/** The 429 for a call over its limit. */
export function refusalAnswer(
  refusal: Refusal,
  style: RefusalStyle,
  now: { wallMs: number; target: string },
): Answer {
  const seconds = Math.max(1, Math.ceil(refusal.waitMs / 1_000));
  const message = style.message === 'bare' ? 'Too many requests.' : fullMessage(refusal.quota, seconds);
  const answer = errorAnswer(429, { code: style.code, message }, now.target);
  switch (style.retryAfter) {
    case 'none':
      return answer;
    case 'seconds':
      return withHeader(answer, 'retry-after', String(seconds));
    case 'http-date':
      return withHeader(answer, 'retry-after', httpDate(now.wallMs + refusal.waitMs));
    default:
      return unreachable(style.retryAfter);
  }
}

/** Dates in headers have whole seconds only: rounded up, so that nobody comes back too early. */
function httpDate(wallMs: number): string {
  return new Date(Math.ceil(wallMs / 1_000) * 1_000).toUTCString();
}

function fullMessage(quota: Quota, seconds: number): string {
  const limit = `maximum allowed ${quota.max} per ${timeSpan(quota.windowMs)}`;
  return `API calls quota exceeded! ${limit} for this application and tenant. You can send requests again in ${seconds} seconds.`;
}

/** As .NET writes a TimeSpan: `01:00:00`, with seven decimals when there is a fraction. */
function timeSpan(ms: number): string {
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  const whole = [two(ms / 3_600_000), two((ms / 60_000) % 60), two((ms / 1_000) % 60)].join(':');
  const fraction = ms % 1_000;
  return fraction === 0 ? whole : `${whole}.${String(Math.round(fraction * 10_000)).padStart(7, '0')}`;
}
