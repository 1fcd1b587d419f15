import { z } from 'zod';

/**
 * What the feeder puts into `cancel-campaign`. Ours alone, but workers of the last two versions read each other's: fields
 * may be added, not changed.
 */
export const fedJobSchema = z.object({
  v: z.literal(1),
  /** Lower-case GUID. */
  id: z.guid(),
  comment: z.string().min(1),
  /** The campaign's number. */
  campaign: z.number().int().positive(),
  /** The list showed the action just now. */
  listed: z.boolean().exactOptional(),
});

export type FedJob = z.infer<typeof fedJobSchema>;
