/** A file of support tickets: the real one where it is there, else one of the same shape and size. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './harness.ts';

export const ticketCount = 8_469;

/** Of public origin, not part of the product: beside the repository, or named by FREEHOLD_TICKETS_CSV. */
export function readTickets(): { csv: Buffer; origin: string } {
  const path =
    process.env.FREEHOLD_TICKETS_CSV ?? join(repository, '..', 'shared', 'data', 'customer-support-tickets.csv');
  if (existsSync(path)) return { csv: readFileSync(path), origin: 'real tickets' };
  return { csv: Buffer.from(makeTickets(ticketCount)), origin: 'generated tickets' };
}

export const ticketHeader =
  'Ticket ID,Customer Name,Customer Email,Customer Age,Customer Gender,Product Purchased,Date of Purchase,Ticket Type,Ticket Subject,' +
  'Ticket Description,Ticket Status,Ticket Priority,Ticket Channel,First Response Time,Time to Resolution,Customer Satisfaction Rating';

const subjects = ['Product setup', 'Network problem', 'Account access', 'Data loss', 'Refund request', 'Battery life'];
const products = ['GoPro Hero', 'LG Smart TV', 'Dell XPS', 'Philips Hue Lights'];
const types = ['Technical issue', 'Billing inquiry', 'Cancellation request', 'Product inquiry', 'Refund request'];
const states = ['Open', 'Closed', 'Pending Customer Response'];
const priorities = ['Low', 'Medium', 'High', 'Critical'];
const channels = ['Email', 'Chat', 'Phone', 'Social media'];

export function makeTickets(count: number): string {
  const pick = <T>(list: readonly T[], at: number) => list[at % list.length]!;
  const lines = [ticketHeader];
  for (let id = 1; id <= count; id++) {
    const state = pick(states, id * 7);
    lines.push(
      [
        id,
        `Customer ${id}`,
        `customer${id}@example.com`,
        18 + (id % 60),
        pick(['Female', 'Male', 'Other'], id),
        pick(products, id * 3),
        `${1 + (id % 12)}/${1 + (id % 28)}/21`,
        pick(types, id),
        pick(subjects, id * 5),
        `"I'm having an issue with the {product_purchased}. Please assist.\n\nLine two of ticket ${id}, with ""quotes"", commas\nand a third line."`,
        state,
        pick(priorities, id * 3),
        pick(channels, id),
        state === 'Open' ? '' : '6/1/23 12:15',
        state === 'Closed' ? '6/1/23 18:05' : '',
        state === 'Closed' ? `${1 + (id % 5)}` : '',
      ].join(','),
    );
  }
  return `${lines.join('\n')}\n`;
}
