export function Page() {
  return <main>Fabric</main>;
}
