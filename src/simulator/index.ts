export type { Fault, FaultRule } from './faults.ts';
export type { RemoteSimulator, Simulator, SimulatorAddresses } from './handle.ts';
export type { LimitMode } from './limiter.ts';
export type { MachineAction, SeedAction } from './machine-action.ts';
export { type ActionMix, DEMO_MIX, makeActions } from './make-actions.ts';
export type { PlainSimulatorOptions, SimulatorOptions } from './options.ts';
export { ALL_ROLES, CANCEL_ROLES } from './permissions.ts';
export { connectSimulator } from './remote.ts';
export { startSimulator } from './start.ts';
