import type { FastifyInstance } from 'fastify';
import { apiRoutes } from './api.ts';
import { type CaFile, makeServerCertificate, writeCaFile } from './certificate.ts';
import { controlRoutes } from './control-routes.ts';
import type { Simulator, SimulatorAddresses } from './handle.ts';
import { managedIdentityRoutes } from './managed-identity.ts';
import type { SimulatorOptions } from './options.ts';
import { createParts } from './parts.ts';
import { createServer, listen } from './server.ts';
import { signInRoutes } from './sign-in.ts';

/**
 * Starts the machine action API and its sign-in on the loopback address.
 *
 * @returns once both listen.
 * @throws when a port is taken, the folder cannot be written, or the client certificate is none.
 */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const certificate = options.certificate ?? (await makeServerCertificate());
  const parts = await createParts(options, signal);
  const { identity, controls } = parts;
  const { calls } = parts.api;
  const addresses: SimulatorAddresses = {
    ...identity,
    apiUrl: '',
    authorityUrl: '',
    identityEndpoint: '',
    caFile: '',
  };
  const api = createServer({ calls, signal, certificate: null });
  api.register(apiRoutes(parts.api));
  api.register(managedIdentityRoutes(parts.managedIdentity));
  api.register(controlRoutes({ controls, addresses }), { prefix: '/sim' });
  const signIn = createServer({ calls, signal, certificate });
  signIn.register(signInRoutes(parts.signIn));

  const stop = stopper(stopping, [api, signIn]);
  try {
    const authorityPort = await listen(signIn, options.authorityPort ?? 0);
    const caFile = await writeCaFile(options.dir, authorityPort, certificate.cert);
    stop.alsoRemove(caFile);
    addresses.caFile = caFile.path;
    addresses.authorityUrl = `https://localhost:${authorityPort}`;
    addresses.apiUrl = `http://127.0.0.1:${await listen(api, options.port ?? 0)}`;
    addresses.identityEndpoint = `${addresses.apiUrl}/msi/token`;
  } catch (error) {
    await stop.now();
    throw error;
  }
  return { ...addresses, ...controls, stop: stop.now };
}

/** Stops once, however often it is asked. */
function stopper(stopping: AbortController, servers: readonly FastifyInstance[]) {
  let caFile: CaFile | undefined;
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    stopping.abort();
    await Promise.all(servers.map((server) => server.close()));
    await caFile?.remove();
  };
  return {
    alsoRemove: (file: CaFile) => {
      caFile = file;
    },
    now: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}
