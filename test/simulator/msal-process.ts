import type { SimulatorAddresses } from '../../src/simulator/index.ts';
import { msalFor } from './msal.ts';

/* Signs in with msal's own HTTP, as a process whose NODE_EXTRA_CA_CERTS names the simulator's certificate. */
const simulator = JSON.parse(process.argv[2] ?? '') as SimulatorAddresses;
const client = msalFor(simulator, { clientSecret: simulator.clientSecret });
const result = await client.acquireTokenByClientCredential({ scopes: [simulator.scope] });
process.stdout.write(result?.accessToken ?? '');
