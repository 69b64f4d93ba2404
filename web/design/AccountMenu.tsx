import { Avatar, Menu, Text, UnstyledButton } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { ColorSchemeSwitch } from './ColorSchemeSwitch.tsx';
import { IconLogout } from './icons.ts';
import type { NavItem } from './PageShell.tsx';

export interface AccountMenuProps {
  readonly name: string;
  readonly email: string;
  readonly items?: readonly NavItem[];
  readonly onSignOut: () => void;
}

/** Who is signed in, their own pages, colours, and the way out. */
export function AccountMenu({ name, email, items = [], onSignOut }: AccountMenuProps) {
  return (
    <Menu position="bottom-end" width={260}>
      <Menu.Target>
        <UnstyledButton aria-label={`Account of ${name}`}>
          <Avatar size={28} radius="xl" color="green" name={name} />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          <Text fw={600} c="var(--mantine-color-text)" truncate>
            {name}
          </Text>
          <Text size="sm" c="dimmed" truncate>
            {email}
          </Text>
        </Menu.Label>
        <Menu.Divider />
        {items.map((item) =>
          item.to === undefined ? (
            <Menu.Item key={item.label} component="a" href={item.href} leftSection={iconOf(item)}>
              {item.label}
            </Menu.Item>
          ) : (
            <Menu.Item key={item.label} component={Link} to={item.to} leftSection={iconOf(item)}>
              {item.label}
            </Menu.Item>
          ),
        )}
        {items.length > 0 && <Menu.Divider />}
        <Menu.Label>
          <ColorSchemeSwitch fullWidth />
        </Menu.Label>
        <Menu.Divider />
        <Menu.Item leftSection={<IconLogout size={16} />} onClick={onSignOut}>
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function iconOf(item: NavItem) {
  return item.icon ? <item.icon size={16} aria-hidden /> : undefined;
}
