/** The 8,469 support tickets that the import must take in one go: the real file when it is there, otherwise a made-up one of the same shape. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { formatCsvRow } from '../csv.ts';

export const ticketCount = 8_469;

const header = [
  'Ticket ID',
  'Customer Name',
  'Customer Email',
  'Customer Age',
  'Customer Gender',
  'Product Purchased',
  'Date of Purchase',
  'Ticket Type',
  'Ticket Subject',
  'Ticket Description',
  'Ticket Status',
  'Ticket Priority',
  'Ticket Channel',
  'First Response Time',
  'Time to Resolution',
  'Customer Satisfaction Rating',
];

export function readTickets(): { csv: Uint8Array<ArrayBuffer>; source: 'real' | 'generated' } {
  const path =
    process.env.FREEHOLD_TICKETS_CSV ??
    fileURLToPath(new URL('../../../../shared/data/customer-support-tickets.csv', import.meta.url));
  if (existsSync(path)) return { csv: new Uint8Array(readFileSync(path)), source: 'real' };
  return { csv: new TextEncoder().encode(generateTickets(ticketCount)), source: 'generated' };
}

/** Deterministic; descriptions over several lines, with quotes, commas and empty lines. */
export function generateTickets(count: number, lineEnd = '\n'): string {
  const pick = <T>(values: readonly T[], index: number): T => values[index % values.length]!;
  const names = ['Marisa Obrien', 'Jessica Rios', 'José Ñúñez', 'Li Wei', "Shaun O'Neill"];
  const subjects = [
    'Product setup',
    'Network problem',
    'Refund request',
    'Data loss',
    'Battery life',
    'Account access',
  ];
  const rows = [formatCsvRow(header)];
  for (let index = 0; index < count; index++) {
    const closed = index % 3 === 0;
    const name = pick(names, index);
    rows.push(
      formatCsvRow([
        index + 1,
        name,
        `customer${index % 8_000}@example.com`,
        18 + (index % 53),
        pick(['Male', 'Female', 'Other'], index),
        pick(['GoPro Hero', 'Dell XPS', 'LG Smart TV', 'Microsoft Office'], index),
        `${1 + (index % 12)}/${1 + (index % 28)}/2${index % 2}`,
        pick(
          ['Refund request', 'Technical issue', 'Cancellation request', 'Product inquiry', 'Billing inquiry'],
          index,
        ),
        pick(subjects, index),
        `I'm having an issue with the {product_purchased}. Please assist.\n\nIt says "error ${index}", again and again.\nWhat now?`,
        closed ? 'Closed' : pick(['Open', 'Pending Customer Response'], index),
        pick(['Low', 'Medium', 'High', 'Critical'], index),
        pick(['Email', 'Phone', 'Chat', 'Social media'], index),
        index % 3 === 1 ? '' : `6/1/23 ${index % 24}:${String(index % 60).padStart(2, '0')}`,
        closed ? `6/1/23 ${index % 24}:15` : '',
        closed ? 1 + (index % 5) : '',
      ]),
    );
  }
  return rows.join('').replaceAll('\r\n', lineEnd);
}
