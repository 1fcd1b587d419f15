import { z } from 'zod';
import { OUTCOMES } from '../../../src/base/outcome.ts';
import { jobDataSchema } from '../../../src/queue/job.ts';
import { cancelResultSchema } from '../../../src/queue/result-schema.ts';
import { MAX_COMMENT_LENGTH } from '../../../src/store/keys.ts';

type Json = Record<string, unknown>;

const DIGITS = '[0-9a-fA-F]';
const GUID = `${DIGITS}{8}-(?:${DIGITS}{4}-){3}${DIGITS}{12}`;
/** As `parseGuid` takes them, without a reference back to the quote, which not every language's patterns have. */
const FORMS = [
  GUID,
  `\\{${GUID}\\}`,
  ...['"', "'"].flatMap((quote) => [GUID, `\\{${GUID}\\}`].map((form) => quote + form + quote)),
];

/** The latest time that the validator takes, in ms. */
const LATEST = 8.64e15 - 1;

/** What the validator does in code, where its schema does not show it; and what each field is about. */
const JOB_FIELDS: Readonly<Record<string, (found: Json) => Json>> = {
  v: (found) => ({ ...found, description: 'The version of the contract' }),
  machineActionId: (found) => ({
    ...found,
    pattern: `^[\\t-\\r ]*(?:${FORMS.join('|')})[\\t-\\r ]*$`,
    description: 'A GUID in any case, with or without braces or quotes; stored in lower case',
  }),
  comment: () => ({
    type: ['string', 'null'],
    maxLength: MAX_COMMENT_LENGTH,
    description:
      'Sent to Defender. If it is missing, null or blank, the worker sends its DEFAULT_COMMENT; without that the job is invalid',
  }),
  requestedBy: (found) => ({ ...found, description: 'Who requests the cancel; shown in results' }),
  expiresAt: (found) => ({
    ...found,
    description:
      'ISO 8601 with Z or an offset, or milliseconds since 1970. A cancel that has not been called by then ends as expired',
  }),
  again: (found) => ({ ...found, description: 'Call again for an action that already has an outcome' }),
};

/** The data of a job in a public lane. Generated from the worker's validator. */
function cancelJobSchema(): Json {
  const { $schema, ...schema } = z.toJSONSchema(jobDataSchema, {
    io: 'input',
    override: ({ jsonSchema }) => {
      if (jsonSchema.type === 'integer') jsonSchema.maximum = LATEST;
      if (jsonSchema.type !== 'string' || jsonSchema.minLength !== 1) return;
      // Cut at both ends before it is measured: one that is blank is none.
      delete jsonSchema.minLength;
      jsonSchema.pattern = '\\S';
    },
  });
  const properties = { ...schema.properties } as Record<string, Json>;
  for (const [name, found] of Object.entries(properties))
    properties[name] = JOB_FIELDS[name]?.(found) ?? found;
  const description =
    'The data of a job in the queues cancel and cancel-urgent. Unknown fields are ignored. Generated from the worker’s ' +
    'validator, which is wider in one way: it trims a text before it measures the text.';
  return { $schema, title: 'CancelJob', description, ...schema, properties };
}

/** What a job returns. */
function cancelResultJsonSchema(): Json {
  const { $schema, ...schema } = z.toJSONSchema(cancelResultSchema, { io: 'input' });
  const outcome = {
    anyOf: [{ enum: [...OUTCOMES] }, { type: 'string', minLength: 1 }],
    description: 'How the request ended. More outcomes may be added: treat an unknown one as not cancelled',
  };
  const description =
    'The return value of a completed job, and a line of a report. More fields may be added.';
  return {
    $schema,
    title: 'CancelResult',
    description,
    ...schema,
    properties: { ...schema.properties, outcome },
  };
}

/** The checked-in files, by name in `docs`, as they should be. */
export function schemaFiles(): Record<string, Json> {
  return {
    'cancel-job.schema.json': cancelJobSchema(),
    'cancel-result.schema.json': cancelResultJsonSchema(),
  };
}
