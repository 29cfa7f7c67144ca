/** Clusters whose service accounts are believed. */

import type { components } from "../api/schema";
import { Age, Said } from "../parts";
import { access } from "../text/access";
import { dateOf } from "../units";
import { Instead, useOrgList } from "./orglist";

type ClusterView = components["schemas"]["ClusterView"];

const text = access.clusters;
const ISSUER_MAX = 80;
/** Characters of an issuer's address. */

const ACCOUNTS_MAX = 160;
/** Characters of the accounts; all of them stand in the tooltip. */

export function Clusters() {
  const found = useOrgList<ClusterView>("/api/orgs/clusters", "clusters");
  if (!found.list?.length || found.error) return <Instead found={found} words={text} />;
  const { column } = text;
  return (
    <div class="table-frame">
      <table class="table" data-testid="cluster-table">
        <caption class="unseen">{text.caption}</caption>
        <thead>
          <tr>
            <th scope="col">{column.name}</th>
            <th scope="col">{column.issuer}</th>
            <th scope="col">{column.accounts}</th>
            <th scope="col">{column.since}</th>
          </tr>
        </thead>
        <tbody>
          {found.list.map((cluster) => (
            <Line key={cluster.clusterId} cluster={cluster} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Line({ cluster }: { cluster: ClusterView }) {
  const { column } = text;
  const since = dateOf(cluster.createdAt);
  return (
    <tr data-testid="cluster-row">
      <th scope="row">
        <Said text={cluster.clusterId} max={ISSUER_MAX} />
      </th>
      <td data-name={column.issuer}>
        <Said text={cluster.issuer} max={ISSUER_MAX} />
      </td>
      <td data-name={column.accounts}>
        <Said text={cluster.serviceAccounts.join(", ")} max={ACCOUNTS_MAX} />
      </td>
      <td data-name={column.since}>{since === null ? access.unknown : <Age ms={since} />}</td>
    </tr>
  );
}
