/** Writes Markdown and shows how it will look. Ctrl or ⌘ with Enter saves, Escape gives up. */
import { Button, Group, SegmentedControl, Text, Textarea } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { Markdown } from './Markdown.tsx';
import classes from './MarkdownEditor.module.css';

export interface MarkdownEditorProps {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly onSave: () => void;
  readonly onCancel?: () => void;
  readonly saveLabel: string;
  readonly saving?: boolean;
  /** Longest text the server takes. */
  readonly maxLength: number;
  readonly allowEmpty?: boolean;
  readonly placeholder?: string;
  readonly autoFocus?: boolean;
  readonly minRows?: number;
  readonly children?: ReactNode;
}

export function MarkdownEditor(props: MarkdownEditorProps) {
  const { label, value, maxLength } = props;
  const [view, setView] = useState<'write' | 'preview'>('write');
  const empty = value.trim() === '';
  const tooLong = value.length > maxLength;
  const canSave = !tooLong && (props.allowEmpty || !empty) && !props.saving;
  return (
    <div className={classes.editor}>
      {view === 'write' ? (
        <Textarea
          aria-label={label}
          placeholder={props.placeholder}
          value={value}
          onChange={(event) => props.onChange(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && canSave) {
              event.preventDefault();
              props.onSave();
            }
            if (event.key === 'Escape' && props.onCancel) {
              event.stopPropagation();
              props.onCancel();
            }
          }}
          autosize
          minRows={props.minRows ?? 3}
          maxRows={24}
          autoFocus={props.autoFocus}
          error={tooLong ? `${(value.length - maxLength).toLocaleString('en')} characters too long` : undefined}
        />
      ) : (
        <div className={classes.preview}>
          {empty ? <Text c="dimmed">Nothing to show</Text> : <Markdown text={value} />}
        </div>
      )}
      {props.children && <div className={classes.between}>{props.children}</div>}
      <Group gap="xs" justify="space-between" mt={6}>
        <SegmentedControl
          size="xs"
          aria-label="Write or preview"
          value={view}
          onChange={(next) => setView(next as 'write' | 'preview')}
          data={[
            { value: 'write', label: 'Write' },
            { value: 'preview', label: 'Preview' },
          ]}
        />
        <Group gap="xs">
          {props.onCancel && (
            <Button size="xs" variant="default" onClick={props.onCancel}>
              Cancel
            </Button>
          )}
          <Button size="xs" onClick={props.onSave} disabled={!canSave} loading={props.saving ?? false}>
            {props.saveLabel}
          </Button>
        </Group>
      </Group>
    </div>
  );
}
