"""What a status message says of GPUs."""

from collections.abc import Iterable, Mapping

from citadel_k8s.domain import units
from citadel_k8s.domain.naming import place_of
from citadel_k8s.domain.owners import PodNames
from citadel_k8s.domain.snapshot import Snapshot, gpus_now
from citadel_k8s.domain.xids import rule_of
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.models.readings import (
    EccErrors,
    Gpu,
    GpuProcess,
    Holder,
    MigInstance,
    NvLink,
    Pcie,
    Process,
    RowRemap,
    Verdict,
    XidCount,
)
from citadel_k8s.models.wire_gpu import (
    EccInfo,
    GpuInfo,
    GpuProcessInfo,
    HolderInfo,
    MigInfo,
    NvLinkInfo,
    PcieInfo,
    RowRemapInfo,
    VerdictInfo,
    XidInfo,
)


def gpu_infos(snapshot: Snapshot, now: float) -> list[GpuInfo] | None:
    """Give all GPUs at this moment; None where it is not known which there are."""
    if not snapshot.gpus_known:
        return None
    nvidia = snapshot.gpus.good.driver if snapshot.gpus.good else None
    other = snapshot.drm.good.driver if snapshot.drm.good else None
    drivers = [nvidia] * len(snapshot.seen) + [other] * len(snapshot.drm_seen)
    return [
        _gpu(gpu, driver, snapshot)
        for gpu, driver in zip(gpus_now(snapshot, now), drivers, strict=True)
    ]


def _gpu(gpu: Gpu, driver: str | None, snapshot: Snapshot) -> GpuInfo:
    holders = snapshot.holders.get(gpu.index)
    return GpuInfo(
        index=gpu.index,
        name=units.name(gpu.name) or "unknown",
        memory_used_mb=units.mib(gpu.memory_used_bytes),
        memory_total_mb=units.mib(gpu.memory_total_bytes),
        temperature_celsius=units.count(gpu.temperature_celsius),
        utilization_percent=units.percent(gpu.utilization_ratio),
        driver=units.name(driver),
        uuid=units.name(gpu.uuid),
        power_watts=units.tenth(gpu.power_watts),
        power_limit_watts=units.tenth(gpu.power_limit_watts),
        vendor=units.name(gpu.vendor),
        pci_bus_id=units.name(gpu.pci_bus_id),
        memory_bus_percent=units.percent(gpu.memory_bus_ratio),
        memory_temperature_celsius=units.count(gpu.memory_temperature_celsius),
        energy_joules=units.tenth(gpu.energy_joules),
        clock_graphics_mhz=units.mhz(gpu.clock_graphics_hertz),
        clock_sm_mhz=units.mhz(gpu.clock_sm_hertz),
        clock_memory_mhz=units.mhz(gpu.clock_memory_hertz),
        throttle_reasons=_texts(gpu.throttle_reasons),
        ecc_enabled=gpu.ecc_enabled,
        ecc=_ecc(gpu.ecc),
        row_remap=_row_remap(gpu.row_remap),
        pcie=_pcie(gpu.pcie),
        nvlink=_nvlink(gpu.nvlinks),
        mig_enabled=gpu.mig_enabled,
        mig=None if gpu.mig is None else [_mig(one) for one in gpu.mig],
        processes=None if gpu.processes is None else _processes(gpu.processes, snapshot),
        holders=None if holders is None else [_holder(one, gpu) for one in holders],
        xids=[_xid(one) for one in gpu.xids] or None,
        verdicts=[_verdict(one) for one in gpu.verdicts] or None,
        health=gpu.health,
        reason=units.name(gpu.reason),
        message=units.sentence(gpu.message),
        age_seconds=gpu.age_seconds,
    )


def _texts(texts: Iterable[str] | None) -> list[str] | None:
    return None if texts is None else [text for one in texts if (text := units.name(one))]


def _ecc(ecc: EccErrors | None) -> EccInfo | None:
    if ecc is None:
        return None
    return EccInfo(
        corrected_volatile=units.count(ecc.corrected_volatile),
        uncorrected_volatile=units.count(ecc.uncorrected_volatile),
        corrected_aggregate=units.count(ecc.corrected_aggregate),
        uncorrected_aggregate=units.count(ecc.uncorrected_aggregate),
    )


def _row_remap(rows: RowRemap | None) -> RowRemapInfo | None:
    if rows is None:
        return None
    return RowRemapInfo(
        corrected=units.count(rows.corrected) or 0,
        uncorrected=units.count(rows.uncorrected) or 0,
        pending=rows.pending,
        failed=rows.failed,
    )


def _pcie(pcie: Pcie | None) -> PcieInfo | None:
    if pcie is None:
        return None
    return PcieInfo(
        generation=units.count(pcie.generation),
        generation_max=units.count(pcie.generation_max),
        width=units.count(pcie.width),
        width_max=units.count(pcie.width_max),
        replays=units.count(pcie.replays),
        rx_bytes_per_second=units.count(pcie.rx_bytes_per_second),
        tx_bytes_per_second=units.count(pcie.tx_bytes_per_second),
    )


def _nvlink(links: tuple[NvLink, ...] | None) -> NvLinkInfo | None:
    if links is None:
        return None
    return NvLinkInfo(links=len(links), up=sum(link.up for link in links), errors=_errors(links))


def _errors(links: tuple[NvLink, ...]) -> int | None:
    counts = [n for k in links for n in (k.crc_errors, k.replay_errors, k.recovery_errors)]
    known = [count for count in counts if count is not None]
    return units.count(sum(known)) if known else None


def _mig(one: MigInstance) -> MigInfo:
    return MigInfo(
        uuid=units.name(one.uuid) or "unknown",
        profile=units.name(one.profile),
        memory_used_mb=units.mib(one.memory_used_bytes),
        memory_total_mb=units.mib(one.memory_total_bytes),
    )


def _processes(processes: Iterable[GpuProcess], snapshot: Snapshot) -> list[GpuProcessInfo]:
    return [_process(one, snapshot.owners, snapshot.names) for one in processes]


def _process(one: GpuProcess, owners: Mapping[int, Process], names: PodNames) -> GpuProcessInfo:
    owner = owners.get(one.pid)
    place = place_of(names, owner.pod_uid, owner.container_id) if owner else None
    return GpuProcessInfo(
        pid=one.pid,
        name=units.name(owner.name) if owner else None,
        kind=units.name(one.kind),
        memory_used_mb=units.mib(one.memory_used_bytes),
        namespace=units.name(place.namespace) if place else None,
        pod=units.name(place.pod) if place else None,
        container=units.name(place.container) if place else None,
    )


def _holder(one: Holder, gpu: Gpu) -> HolderInfo:
    counted = bool(one.pids) or gpu.processes is not None
    return HolderInfo(
        device=units.name(one.device) or "unknown",
        how=units.name(one.how) or "unknown",
        namespace=units.name(one.namespace),
        pod=units.name(one.pod),
        container=units.name(one.container),
        processes=len(one.pids) if counted else None,
        memory_used_mb=units.mib(one.memory_used_bytes),
        idle_seconds=units.count(one.idle_seconds),
    )


def _xid(one: XidCount) -> XidInfo:
    rule = rule_of(one.xid)
    return XidInfo(
        xid=one.xid,
        count=one.count,
        last_at=format_timestamp(one.last_at, fraction=True),
        name=rule.name,
        severity=rule.severity,
        cause=rule.cause,
    )


def _verdict(one: Verdict) -> VerdictInfo:
    return VerdictInfo(
        reason=units.name(one.reason) or "unknown",
        severity=one.severity,
        cause=one.cause,
        remedy=one.remedy,
        message=units.sentence(one.message) or "",
    )
