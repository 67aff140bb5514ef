/**
 * The sample of the contract (contracts/ota-api.md 1): 7 properties, 11 reservations. The ids are fixed: the same after every restart, reset and
 * rebuild, and those that `npm run ops -- stays import` gives to the same rows.
 */
import type { CommandContext } from '../event-store/handle-command.ts'
import { type LoadDeps, loadRows } from './load.ts'

const properties = [
  ['xE6vqTqA6LTwpE', 'Spacious 1-bedroom villa overlooking a lake!'],
  ['SnbrmRLFxOhCAT', 'Studio apartment close to downtown.'],
  ['djddZlw8apLVfi', 'Ski in, ski out, 2-bedroom condo'],
  ['ApkY2fkDHhlsVY', 'Short walk to shopping and dining'],
  ['g3hbWxJ5TdXidt', "3 bedroom house, cook's kitchen"],
  ['H75e1FjJFudcbC', '1-bedroom house with country feel'],
  ['1BlCOXqGH2MZb2', 'Two bedroom condo, walk to restaurants'],
] as const

const reservations = [
  ['0176c064-cc00-793f-a6fc-26467cf63cc9', 'xE6vqTqA6LTwpE', '2021-01-02', 2],
  ['0176cab1-8400-7dd3-b681-b6c98f267742', 'xE6vqTqA6LTwpE', '2021-01-04', 7],
  ['01772763-fc00-78d8-83eb-d2ef008fa460', 'xE6vqTqA6LTwpE', '2021-01-22', 3],
  ['01770357-7800-7a4a-b492-be68ac92b1d1', 'SnbrmRLFxOhCAT', '2021-01-15', 2],
  ['01770da4-3000-79a6-a8c0-a49caa5c2c9e', 'SnbrmRLFxOhCAT', '2021-01-17', 2],
  ['017736d7-1000-7c14-9101-01622cf01903', 'SnbrmRLFxOhCAT', '2021-01-25', 4],
  ['0176e997-ac00-7f60-be2b-571fab22fa8e', 'djddZlw8apLVfi', '2021-01-10', 2],
  ['0176fe31-1c00-7af3-a035-455e01403421', 'djddZlw8apLVfi', '2021-01-14', 5],
  ['01772c8a-5800-7c10-9d2b-b27bf0542b28', 'djddZlw8apLVfi', '2021-01-23', 1],
  ['0176c58b-2800-79b5-bbdb-1537ac6c6c31', 'ApkY2fkDHhlsVY', '2021-01-03', 2],
  ['0176da24-9800-7123-8b21-c4e5f6e46874', 'ApkY2fkDHhlsVY', '2021-01-07', 3],
] as const

export const sample = {
  properties: properties.map(([propertyId, description]) => ({ propertyId, description })),
  reservations: reservations.map(([reservationId, propertyId, startDate, nights]) => ({
    reservationId,
    propertyId,
    startDate,
    nights,
  })),
}

/**
 * Loads what of the sample is not there yet, under `closed` too, where two pairs of it share a day. What was described otherwise, changed,
 * cancelled or retired since stays as it is. Returns how many rows were loaded.
 */
export async function loadSample(deps: LoadDeps, context: CommandContext): Promise<number> {
  return (await loadRows(deps, context, { asIs: true, ...sample })).loaded
}
