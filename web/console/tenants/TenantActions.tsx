import { Button, Group, Menu } from '@mantine/core';
import { useRef, useState } from 'react';
import { ButtonLink, IconChevronDown, IconExternalLink } from '../../design/index.ts';
import { mayRestore, mayStart, type OperationKind, type Tenant } from '../api.ts';
import {
  CopyDialog,
  DeleteDialog,
  ExportDialog,
  MoveDialog,
  RenameDialog,
  ResumeDialog,
  SuspendDialog,
} from './dialogs.tsx';

type Action = Extract<OperationKind, 'suspend' | 'resume' | 'rename' | 'clone' | 'move' | 'export' | 'delete'>;

const labels: Record<Action, string> = {
  resume: 'Resume',
  export: 'Export',
  clone: 'Clone',
  move: 'Move',
  rename: 'Rename',
  suspend: 'Suspend',
  delete: 'Delete',
};
const dialogs = {
  resume: ResumeDialog,
  export: ExportDialog,
  clone: CopyDialog,
  move: MoveDialog,
  rename: RenameDialog,
  suspend: SuspendDialog,
  delete: DeleteDialog,
};

/** What can be done with the tenant now; the most likely next thing is a button, the rest is in the menu. */
export function TenantActions({ tenant, onStarted }: { tenant: Tenant; onStarted: (operationId: string) => void }) {
  const [action, setAction] = useState<Action>();
  const menuButton = useRef<HTMLButtonElement>(null);
  // The menu item that opened the dialog is gone when it closes; without this the keyboard would start at the top again.
  const close = () => {
    setAction(undefined);
    menuButton.current?.focus();
  };
  const possible = (Object.keys(labels) as Action[]).filter((kind) => mayStart(kind, tenant.state));
  const restore = mayRestore(tenant) && (
    <ButtonLink variant="default" to="/tenants/$tenantId/restore" params={{ tenantId: tenant.tenantId }}>
      Restore
    </ButtonLink>
  );
  if (possible.length === 0) return restore || null;
  const Dialog = action && dialogs[action];
  return (
    <Group gap="xs">
      {tenant.state === 'suspended' && <Button onClick={() => setAction('resume')}>Resume</Button>}
      {tenant.state === 'active' && tenant.url && (
        <Button
          component="a"
          href={tenant.url}
          target="_blank"
          rel="noreferrer"
          rightSection={<IconExternalLink size={14} />}
        >
          Open
        </Button>
      )}
      {restore}
      <Menu position="bottom-end" width={200}>
        <Menu.Target>
          <Button ref={menuButton} variant="default" rightSection={<IconChevronDown size={14} />}>
            Actions
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {possible
            .filter((kind) => kind !== 'delete')
            .map((kind) => (
              <Menu.Item key={kind} onClick={() => setAction(kind)}>
                {labels[kind]}
              </Menu.Item>
            ))}
          <Menu.Divider />
          <Menu.Item color="red" onClick={() => setAction('delete')}>
            {labels.delete}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {Dialog && <Dialog tenant={tenant} onClose={close} onStarted={onStarted} />}
    </Group>
  );
}
