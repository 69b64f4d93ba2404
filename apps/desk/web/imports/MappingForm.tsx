/** What each column becomes; then the whole file is tried without making anything, and the result is shown before the start. */
import { Button, Group, NativeSelect, Stack, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { apiFetch, formatPlural, Panel, ProblemNotice, toProblem } from '../../../../web/design/index.ts';
import type { Import, ImportDateFormat, ImportField, ImportMapping, ImportPreview } from '../../api.ts';
import { keys } from '../data/queries.ts';
import {
  importFieldWords,
  itemStates,
  itemTypes,
  priorities,
  priorityWords,
  stateWords,
  typeWords,
} from '../data/words.ts';
import classes from './MappingForm.module.css';
import { PreviewView } from './PreviewView.tsx';
import { ProjectChoice } from './ProjectChoice.tsx';
import { ValueMap } from './ValueMap.tsx';

/** Fields that one column alone may fill. */
const severalAllowed: readonly ImportField[] = ['ignore', 'tags', 'description', 'fact'];
const fieldOptions = (Object.keys(importFieldWords) as ImportField[]).map((value) => ({
  value,
  label: importFieldWords[value],
}));
const dateWords: Readonly<Record<ImportDateFormat, string>> = {
  iso: '2023-06-01 12:15',
  mdy: '6/1/23 12:15 (month first)',
  dmy: '1.6.2023 12:15 (day first)',
  ymd: '2023/6/1 12:15',
};

export function MappingForm({ imported }: { imported: Import }) {
  const queryClient = useQueryClient();
  const [mapping, setMapping] = useState(imported.mapping);
  const [preview, setPreview] = useState<ImportPreview>();
  const result = useRef<HTMLDivElement>(null);
  const importKey = [...keys.imports, imported.id];

  const check = useMutation({
    mutationFn: (body: ImportMapping) =>
      apiFetch<ImportPreview>(`/api/imports/${imported.id}/mapping`, { method: 'PUT', body }),
    onSuccess: (answer) => {
      setPreview(answer);
      queryClient.setQueryData(importKey, answer.import);
    },
  });
  const start = useMutation({
    mutationFn: () => apiFetch<Import>(`/api/imports/${imported.id}/start`, { method: 'POST' }),
    onSuccess: (running) => queryClient.setQueryData(importKey, running),
  });
  useEffect(() => {
    if (preview) result.current?.focus();
  }, [preview]);

  /** A changed mapping has not been checked yet. */
  const change = (part: Partial<ImportMapping>) => {
    setPreview(undefined);
    check.reset();
    setMapping((now) => ({ ...now, ...part }));
  };
  const setField = (index: number, field: ImportField) => {
    const fields = mapping.fields.map((known, at) => {
      if (at === index) return field;
      return known === field && !severalAllowed.includes(field) ? 'ignore' : known;
    });
    change({ fields });
  };
  const withDates = mapping.fields.some((field) => field === 'dueOn' || field === 'createdAt');
  const withTitle = mapping.fields.includes('title');
  const problems = check.error ? toProblem(check.error).fields : {};

  return (
    <Stack gap="md">
      <Panel
        title="Columns"
        description="What each column of the file becomes in Desk. Guessed from the headers; change what is wrong."
      >
        <div className={classes.scroll}>
          <ul className={classes.columns}>
            {imported.columns.map((column) => {
              const field = mapping.fields[column.index] ?? 'ignore';
              return (
                <li key={column.index} className={classes.column} data-ignored={field === 'ignore' || undefined}>
                  <div className={classes.header}>
                    <Text fw={600} size="sm">
                      {column.header || `Column ${column.index + 1}`}
                    </Text>
                    <Samples imported={imported} index={column.index} />
                  </div>
                  <NativeSelect
                    size="sm"
                    aria-label={`${column.header || `Column ${column.index + 1}`} becomes`}
                    data={fieldOptions}
                    value={field}
                    onChange={(event) => setField(column.index, event.currentTarget.value as ImportField)}
                  />
                  {(field === 'type' || field === 'state' || field === 'priority') && (
                    <ValueMap
                      column={column}
                      field={field}
                      mapping={mapping}
                      onChange={(values) => change({ values })}
                    />
                  )}
                </li>
              );
            })}
          </ul>
        </div>
      </Panel>
      <Panel title="Where they go, and what empty cells become">
        <Stack gap="md">
          <ProjectChoice value={mapping.project} onChange={(project) => change({ project })} problems={problems} />
          <div className={classes.defaults}>
            <NativeSelect
              label="Type, when there is none"
              data={itemTypes.map((value) => ({ value, label: typeWords[value] }))}
              value={mapping.defaults.type}
              onChange={(event) =>
                change({ defaults: { ...mapping.defaults, type: pick(itemTypes, event.currentTarget.value) } })
              }
            />
            <NativeSelect
              label="State, when there is none"
              data={itemStates.map((value) => ({ value, label: stateWords[value] }))}
              value={mapping.defaults.state}
              onChange={(event) =>
                change({ defaults: { ...mapping.defaults, state: pick(itemStates, event.currentTarget.value) } })
              }
            />
            <NativeSelect
              label="Priority, when there is none"
              data={priorities.map((value) => ({ value, label: priorityWords[value] }))}
              value={mapping.defaults.priority}
              onChange={(event) =>
                change({ defaults: { ...mapping.defaults, priority: pick(priorities, event.currentTarget.value) } })
              }
            />
            {withDates && (
              <NativeSelect
                label="How dates are written"
                data={Object.entries(dateWords).map(([value, label]) => ({ value, label }))}
                value={mapping.dateFormat}
                onChange={(event) => change({ dateFormat: event.currentTarget.value as ImportDateFormat })}
              />
            )}
          </div>
        </Stack>
      </Panel>
      <ProblemNotice error={check.error ?? start.error} />
      {Object.keys(problems).length > 0 && (
        <ul className={classes.problems}>
          {Object.entries(problems).map(([name, message]) => (
            <li key={name}>{message}</li>
          ))}
        </ul>
      )}
      {!preview && (
        <Group gap="sm">
          <Button onClick={() => check.mutate(mapping)} loading={check.isPending} disabled={!withTitle}>
            Check all rows
          </Button>
          <Text c="dimmed" size="sm" role="status">
            {check.isPending
              ? `Trying the mapping on ${formatPlural(imported.rowCount, 'row')}`
              : withTitle
                ? 'Nothing is made yet.'
                : 'One column must become the title.'}
          </Text>
        </Group>
      )}
      {preview && (
        <div ref={result} tabIndex={-1} className={classes.result}>
          <PreviewView preview={preview} onStart={() => start.mutate()} starting={start.isPending} />
        </div>
      )}
    </Stack>
  );
}

function Samples({ imported, index }: { imported: Import; index: number }) {
  const texts = [...new Set(imported.sample.map((row) => (row[index] ?? '').trim()))]
    .filter((text) => text !== '')
    .slice(0, 3);
  const empty = imported.columns[index]?.empty ?? 0;
  return (
    <Text size="sm" c="dimmed" component="div" className={classes.samples}>
      {texts.map((text) => (
        <span key={text} className={classes.sample}>
          {text}
        </span>
      ))}
      {empty > 0 && <span>{empty === imported.rowCount ? 'always empty' : `${formatPlural(empty, 'row')} empty`}</span>}
    </Text>
  );
}

function pick<T extends string>(choices: readonly T[], value: string): T {
  return choices.find((choice) => choice === value) ?? (choices[0] as T);
}
