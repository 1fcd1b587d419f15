import {
  ConfidentialClientApplication,
  type Configuration,
  type INetworkModule,
  type NetworkRequestOptions,
} from '@azure/msal-node';
import { type Dispatcher, request } from 'undici';
import type { SimulatorAddresses } from '../../src/simulator/index.ts';

/** msal's HTTP, over a dispatcher that trusts the simulator's certificate. */
function networkClient(dispatcher: Dispatcher): INetworkModule {
  const send = async <T>(method: 'GET' | 'POST', url: string, options: NetworkRequestOptions = {}) => {
    const { headers = {}, body } = options;
    const response = await request(url, { dispatcher, method, headers, ...(body !== undefined && { body }) });
    return {
      status: response.statusCode,
      headers: Object.fromEntries(
        Object.entries(response.headers).map(([name, value]) => [name, String(value)]),
      ),
      body: (await response.body.json()) as T,
    };
  };
  return {
    sendGetRequestAsync: (url, options) => send('GET', url, options),
    sendPostRequestAsync: (url, options) => send('POST', url, options),
  };
}

type Credential = Pick<Configuration['auth'], 'clientSecret' | 'clientCertificate' | 'clientAssertion'>;

/** The real client, set up for a simulator. */
export function msalFor(
  simulator: SimulatorAddresses,
  credential: Credential,
  dispatcher?: Dispatcher,
): ConfidentialClientApplication {
  const { authorityUrl, tenantId, clientId } = simulator;
  return new ConfidentialClientApplication({
    auth: {
      clientId,
      authority: `${authorityUrl}/${tenantId}`,
      knownAuthorities: [new URL(authorityUrl).host],
      ...credential,
    },
    ...(dispatcher && { system: { networkClient: networkClient(dispatcher) } }),
  });
}
