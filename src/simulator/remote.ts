import { Agent, request } from 'undici';
import { StanddownError } from '../base/errors.ts';
import type { Call } from './calls.ts';
import type { RemoteSimulator, SimulatorAddresses } from './handle.ts';
import type { MachineAction } from './machine-action.ts';
import type { Summary } from './summary.ts';

/** So many actions are sent in one body. */
const ACTIONS_PER_CALL = 10_000;

/**
 * Steers a simulator in another process.
 *
 * @param apiUrl as that simulator gives it.
 * @throws StanddownError `INTERNAL` when a control call is refused; undici's errors when nobody answers.
 */
export async function connectSimulator(apiUrl: string): Promise<RemoteSimulator> {
  const agent = new Agent();
  const { get, post } = createControlClient(apiUrl, agent);
  const addresses = await get<SimulatorAddresses>('/info');
  return {
    ...addresses,
    addActions: async (actions) => {
      for (let at = 0; at < actions.length; at += ACTIONS_PER_CALL) {
        await post('/actions', actions.slice(at, at + ACTIONS_PER_CALL));
      }
    },
    action: (id) => get<MachineAction | null>(`/actions/${encodeURIComponent(id)}`),
    setFaults: (rules) => post('/faults', rules),
    addFault: (rule) => post('/faults/add', rule),
    setRoles: (roles) => post('/roles', roles),
    revokeTokens: () => post('/revoke-tokens', {}),
    setClientCertificates: (certificates) => post('/client-certificates', certificates),
    decideLogin: (userCode, decision) => post('/login', { userCode, decision }),
    endLogins: (how) => post('/end-logins', { how }),
    setLimits: (patch) => post('/limits', patch),
    setBehaviour: (patch) => post('/behaviour', patch),
    spend: (operation, n) => post<number>('/spend', { operation, n }),
    calls: (since = 0) => get<Call[]>(`/calls?since=${since}`),
    callsFor: (id) => get<Call[]>(`/calls?id=${encodeURIComponent(id)}`),
    refusals: () => get<Call[]>('/calls?verdict=refused'),
    peak: (operation, windowMs) => get<number>(`/peak?operation=${operation}&windowMs=${windowMs}`),
    summary: (windowMs) =>
      get<Summary>(windowMs === undefined ? '/summary' : `/summary?windowMs=${windowMs}`),
    reset: () => post('/reset', {}),
    close: () => agent.close(),
  };
}

/** The answers are trusted: the other end is the same code. */
function createControlClient(apiUrl: string, dispatcher: Agent) {
  const ask = async <Result>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<Result> => {
    const response = await request(`${apiUrl}/sim${path}`, {
      dispatcher,
      method,
      headers: { 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.body.text();
    if (response.statusCode === 200) return (JSON.parse(text) as { result: Result }).result;
    throw new StanddownError('INTERNAL', `the simulator refuses ${method} /sim${path}: ${text}`, {
      context: { status: response.statusCode },
    });
  };
  return {
    get: <Result>(path: string) => ask<Result>('GET', path),
    post: <Result = void>(path: string, body: unknown) => ask<Result>('POST', path, body),
  };
}
