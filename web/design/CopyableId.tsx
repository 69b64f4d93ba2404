import { ActionIcon, CopyButton, Tooltip } from '@mantine/core';
import classes from './CopyableId.module.css';
import { IconCheck, IconCopy } from './icons.ts';

/** An id in full for the clipboard, shortened on the page. `what` names it for screen readers: “Copy request id”. */
export function CopyableId({ value, what = 'id', short = false }: { value: string; what?: string; short?: boolean }) {
  return (
    <span className={classes.root}>
      <span className={classes.value} title={value}>
        {short && value.length > 14 ? `${value.slice(0, 10)}…` : value}
      </span>
      <CopyAction value={value} what={what} size={20} />
    </span>
  );
}

/** A command to type, or a one-time link: in full, selectable with one click, copyable with one press. */
export function CopyableLine({ value, what = 'command' }: { value: string; what?: string }) {
  return (
    <div className={classes.command}>
      <code className={classes.commandText}>{value}</code>
      <CopyAction value={value} what={what} size={26} />
    </div>
  );
}

function CopyAction({ value, what, size }: { value: string; what: string; size: number }) {
  return (
    <CopyButton value={value} timeout={1500}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? 'Copied' : `Copy ${what}`}>
          <ActionIcon
            variant="subtle"
            color={copied ? 'green' : 'gray'}
            size={size}
            aria-label={copied ? `Copied ${what}` : `Copy ${what}`}
            onClick={(event) => {
              event.stopPropagation();
              copy();
            }}
          >
            {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
          </ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
  );
}
