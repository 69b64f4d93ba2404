export async function startConsole(_deps: unknown): Promise<{ setupUrl: string | undefined }> {
  return { setupUrl: undefined };
}
