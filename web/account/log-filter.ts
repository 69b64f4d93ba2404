/** What of the security log is shown, as it stands in the address of the page. Days are the reader's own, `2026-01-31`. */
export interface LogFilter {
  readonly event?: string | undefined;
  readonly person?: string | undefined;
  readonly from?: string | undefined;
  /** Included, whole. */
  readonly to?: string | undefined;
}

const day = /^\d{4}-\d{2}-\d{2}$/;

/** Anything in an address that is not of a filter is passed over. */
export function readLogFilter(search: Record<string, unknown>): LogFilter {
  const text = (name: string, shape: RegExp) => {
    const value = search[name];
    return typeof value === 'string' && shape.test(value) ? { [name]: value } : {};
  };
  return {
    ...text('event', /^[a-z_]+\.[a-z_]+$/),
    ...text('person', /^usr_[0-9a-z]{26}$/),
    ...text('from', day),
    ...text('to', day),
  };
}

/** As the server is asked: moments in place of days. */
export function toLogQuery({ event, person, from, to }: LogFilter): URLSearchParams {
  const query = new URLSearchParams();
  if (event) query.set('event', event);
  if (person) query.set('person', person);
  const start = from ? startOf(from, 0) : undefined;
  const end = to ? startOf(to, 1) : undefined;
  if (start) query.set('from', start);
  if (end) query.set('to', end);
  return query;
}

function startOf(text: string, daysLater: number): string | undefined {
  const [year, month, date] = text.split('-').map(Number) as [number, number, number];
  const moment = new Date(year, month - 1, date + daysLater);
  return Number.isNaN(moment.getTime()) ? undefined : moment.toISOString();
}
