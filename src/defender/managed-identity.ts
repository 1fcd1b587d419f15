import { AsyncLocalStorage } from 'node:async_hooks';
import { type INetworkModule, ManagedIdentityApplication } from '@azure/msal-node';
import type { ManagedSignIn } from '../config/sign-in.ts';
import type { SignInWay, TokenSource } from './sign-in-way.ts';

/*
 * msal finds the endpoint in the process's environment (IDENTITY_ENDPOINT and IDENTITY_HEADER on App Service, Functions
 * and Container Apps; others elsewhere), or takes the virtual machine's own address. It keeps it, and the first network
 * client it is given, for as long as the process lives. So it is given one that asks who is calling.
 */
const caller = new AsyncLocalStorage<INetworkModule>();

const onCallersWay: INetworkModule = {
  sendGetRequestAsync: (url, options) => clientOfCaller().sendGetRequestAsync(url, options),
  sendPostRequestAsync: (url, options) => clientOfCaller().sendPostRequestAsync(url, options),
};

function clientOfCaller(): INetworkModule {
  const client = caller.getStore();
  if (client) return client;
  throw new Error('a managed identity was asked for outside of a sign-in');
}

/** What Azure gives the machine or the app that this runs on. */
export function managedIdentityTokens({ credential, scope }: ManagedSignIn, way: SignInWay): TokenSource {
  const msal = new ManagedIdentityApplication({
    ...(credential.clientId !== null && {
      managedIdentityIdParams: { userAssignedClientId: credential.clientId },
    }),
    system: { networkClient: onCallersWay, disableInternalRetries: true },
  });
  const request = { resource: scope.replace(/\/\.default$/, ''), forceRefresh: true };
  return () => caller.run(way.client, () => msal.acquireToken(request));
}
