import type { SeenSpan } from './collector.ts';

/** What protobuf says of OTLP's spans, as far as tests ask: the numbers are those of opentelemetry/proto/trace/v1. */
export function readProtobuf(body: Buffer): SeenSpan[] {
  return fieldsOf(body, 1).flatMap((resourceSpans) => {
    const [resource = Buffer.alloc(0)] = fieldsOf(resourceSpans, 1);
    const service = String(attributesOf(fieldsOf(resource, 1))['service.name']);
    return fieldsOf(resourceSpans, 2)
      .flatMap((scopeSpans) => fieldsOf(scopeSpans, 2))
      .map((span) => ({
        service,
        traceId: hexOf(span, 1),
        spanId: hexOf(span, 2),
        parentSpanId: hexOf(span, 4),
        name: textOf(span, 5),
        kind: numbersOf(span, 6)[0] ?? 0,
        attributes: attributesOf(fieldsOf(span, 9)),
        events: fieldsOf(span, 11).map((event) => ({
          name: textOf(event, 2),
          attributes: attributesOf(fieldsOf(event, 3)),
        })),
        links: fieldsOf(span, 13).map((link) => ({ traceId: hexOf(link, 1), spanId: hexOf(link, 2) })),
        status: fieldsOf(span, 15).flatMap((status) => numbersOf(status, 3))[0] ?? 0,
      }));
  });
}

function attributesOf(list: Buffer[]): SeenSpan['attributes'] {
  return Object.fromEntries(
    list.map((pair) => {
      const [value = Buffer.alloc(0)] = fieldsOf(pair, 2);
      const [bool] = numbersOf(value, 2);
      const text = fieldsOf(value, 1)[0]?.toString();
      return [textOf(pair, 1), text ?? (bool === undefined ? (numbersOf(value, 3)[0] ?? 0) : bool === 1)];
    }),
  );
}

const hexOf = (message: Buffer, field: number) => fieldsOf(message, field)[0]?.toString('hex') ?? '';
const textOf = (message: Buffer, field: number) => fieldsOf(message, field)[0]?.toString() ?? '';

const fieldsOf = (message: Buffer, field: number) =>
  read(message).flatMap(({ number, bytes }) => (number === field && bytes ? [bytes] : []));
const numbersOf = (message: Buffer, field: number) =>
  read(message).flatMap(({ number, value }) => (number === field && value !== undefined ? [value] : []));

function read(message: Buffer): { number: number; value?: number; bytes?: Buffer }[] {
  const fields = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message.readUInt8(at++);
      value += (byte % 128) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    const type = tag % 8;
    if (type === 0) fields.push({ number, value: varint() });
    else {
      const length = type === 2 ? varint() : type === 1 ? 8 : 4;
      fields.push({ number, bytes: message.subarray(at, at + length) });
      at += length;
    }
  }
  return fields;
}
