/*
 * Loaded into a worker before anything else (`node --import`): its machine's clock is CLOCK_SHIFT_MS off. At SIGUSR2 it is
 * set right, at the next one it is off again. The monotonic clock and the timers go on as they do.
 */
const shiftMs = Number(process.env['CLOCK_SHIFT_MS']);
let isOff = true;

process.on('SIGUSR2', () => {
  isOff = !isOff;
});

const RightDate = Date;
const now = () => RightDate.now() + (isOff ? shiftMs : 0);

globalThis.Date = new Proxy(RightDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
  get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
});
