import assert from 'node:assert/strict';
import { it } from 'node:test';
import { AuthError } from '@azure/msal-node';
import { gistOf, toSignInError } from '../../src/defender/sign-in-error.ts';

const SAID = 'AADSTS7000215: Invalid client secret provided. Ensure it is the value, and not the id.';
const TRACE = '0f6c1b1e-3a34-4e0c-9f0b-0d5d2a6b1c11';

it('what the sign-in service said stands once in what is logged and shown', () => {
  // As msal has it: the description, and behind it the traces.
  const error = new AuthError(
    'invalid_client',
    TRACE,
    `Error(s): 7000215 - Timestamp: 2026-11-30 09:12:31Z - Description: ${SAID} Trace ID: 1 Correlation ID: ${TRACE} - Correlation ID: ${TRACE} - Trace ID: 1`,
  );
  const failure = toSignInError(error, '');
  assert.equal(failure.message, `${SAID} (correlation id ${TRACE})`);
  assert.equal(failure.code, 'invalid_client AADSTS7000215');
  assert.equal(failure.cause, undefined, 'a log adds the texts of causes');
  assert.equal(gistOf(failure), SAID.slice(SAID.indexOf('Invalid')), 'the code stands beside it');
  assert.equal(toSignInError(failure, ''), failure);
});

it('what says nothing of that kind stays as it is', () => {
  const failure = toSignInError(
    new AuthError('endpoints_resolution_error', TRACE, 'no answer'),
    'the proxy refused',
  );
  assert.deepEqual([failure.code, failure.message], ['endpoints_resolution_error', 'the proxy refused']);
});
