import { formatCount } from '../../../../web/design/index.ts';
import type { RefusedRow } from '../../api.ts';
import classes from './RefusedRows.module.css';

/** Line of the file, and why. */
export function RefusedRows({ rows }: { rows: readonly RefusedRow[] }) {
  return (
    <table className={classes.table} aria-label="Refused rows">
      <thead>
        <tr>
          <th scope="col">Row</th>
          <th scope="col">Line</th>
          <th scope="col">Reason</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.row}>
            <td>{formatCount(row.row)}</td>
            <td>{formatCount(row.line)}</td>
            <td>{row.reason}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
