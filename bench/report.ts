/** How a bench tells what it found: a table for people, JSON in bench/results/ for machines. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { root } from './installation.ts';
import { loadAverage } from './processes.ts';

export type Row = Readonly<Record<string, string | number>>;

export function table(rows: readonly Row[]): string {
  const columns = Object.keys(rows[0]!);
  const cells = [columns, ...rows.map((row) => columns.map((column) => String(row[column] ?? '')))];
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => row[index]!.length)));
  return cells
    .map((row) =>
      row.map((cell, index) => (index === 0 ? cell.padEnd(widths[index]!) : cell.padStart(widths[index]!))).join('  '),
    )
    .join('\n');
}

/** Prints the table and keeps everything in bench/results/NAME.json. */
export function report(name: string, rows: readonly Row[], facts: object): void {
  console.log(`\n${table(rows)}\n`);
  const folder = join(root, 'bench/results');
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, `${name}.json`),
    `${JSON.stringify({ name, at: new Date().toISOString(), machine: machine(), ...facts, rows }, null, 2)}\n`,
  );
  console.log(`bench/results/${name}.json`);
}

export function machine() {
  const [cpu] = cpus();
  return {
    cores: cpus().length,
    model: cpu?.model,
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    node: process.version,
    fastify: versionOf('fastify'),
    pg: versionOf('pg'),
    loadAverage: loadAverage(),
  };
}

function versionOf(name: string): string {
  return JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')).version;
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function round(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}
