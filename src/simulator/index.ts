export type { Behaviour } from './behaviour.ts';
export type { ApiOperation, Call, Operation, Verdict } from './calls.ts';
export type { Fault, FaultRule } from './faults.ts';
export type { RemoteSimulator, Simulator, SimulatorAddresses, SimulatorControls } from './handle.ts';
export type { LimitMode, Quota } from './limiter.ts';
export type { LimitSettings } from './limits.ts';
export type { MachineAction, SeedAction } from './machine-action.ts';
export {
  type ActionMix,
  DEMO_MIX,
  type MadeActions,
  type MakeActionsOptions,
  makeActions,
} from './make-actions.ts';
export type { PlainSimulatorOptions, SimulatorOptions } from './options.ts';
export { ALL_ROLES, CANCEL_ROLES } from './permissions.ts';
export { connectSimulator } from './remote.ts';
export { startSimulator } from './start.ts';
export type { OperationSummary, Peak, Summary } from './summary.ts';
