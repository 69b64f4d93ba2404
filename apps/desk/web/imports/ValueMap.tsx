/** Which words of the file mean which state, type or priority. */
import { NativeSelect, Text } from '@mantine/core';
import { formatPlural } from '../../../../web/design/index.ts';
import type { ImportColumn, ImportMapping } from '../../api.ts';
import { itemStates, itemTypes, priorities, priorityWords, stateWords, typeWords } from '../data/words.ts';
import classes from './ValueMap.module.css';

type MappedField = keyof ImportMapping['values'];

const targets: Readonly<Record<MappedField, readonly { value: string; label: string }[]>> = {
  type: itemTypes.map((value) => ({ value, label: typeWords[value] })),
  state: itemStates.map((value) => ({ value, label: stateWords[value] })),
  priority: priorities.map((value) => ({ value, label: priorityWords[value] })),
};
const refuse = '';

export function ValueMap(props: {
  column: ImportColumn;
  field: MappedField;
  mapping: ImportMapping;
  onChange: (values: ImportMapping['values']) => void;
}) {
  const { column, field, mapping } = props;
  const known: readonly { from: string; to: string }[] = mapping.values[field];
  const set = (from: string, to: string) => {
    const others = known.filter((each) => !same(each.from, from));
    const next = to === refuse ? others : [...others, { from, to }];
    props.onChange({ ...mapping.values, [field]: next });
  };
  if (column.values.length === 0) {
    return (
      <Text size="sm" c="dimmed" className={classes.values}>
        More than 30 different values. Rows are accepted whose value is one of:{' '}
        {targets[field].map(({ value }) => value).join(', ')}.
      </Text>
    );
  }
  return (
    <ul className={classes.values}>
      {column.values
        .filter(({ value }) => value.trim() !== '')
        .map(({ value, count }) => {
          const itself = targets[field].find((target) => same(target.value, value));
          const mapped = known.find((each) => same(each.from, value))?.to ?? itself?.value ?? refuse;
          return (
            <li key={value} className={classes.value} data-refused={mapped === refuse || undefined}>
              <span className={classes.from}>
                {value} <span className={classes.count}>{formatPlural(count, 'row')}</span>
              </span>
              <NativeSelect
                size="xs"
                aria-label={`“${value}” becomes`}
                data={itself ? [...targets[field]] : [{ value: refuse, label: 'Refuse these rows' }, ...targets[field]]}
                value={mapped}
                onChange={(event) => set(value, event.currentTarget.value)}
              />
            </li>
          );
        })}
    </ul>
  );
}

function same(left: string, right: string): boolean {
  return left.trim().toLowerCase() === right.trim().toLowerCase();
}
