//! The bare engine, to measure against: containers that do nothing, without `dgm`.

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig};
use bollard::query_parameters::{
    CreateContainerOptions, RemoveContainerOptionsBuilder, StartContainerOptions,
    WaitContainerOptionsBuilder,
};
use futures_util::StreamExt as _;

/// The image of all containers.
pub(crate) const IMAGE: &str = "dgm-smoke";

/// Returns a container with the engine's defaults.
pub(crate) fn plain() -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd: Some(vec!["true".to_owned()]),
        user: Some("1000:1000".to_owned()),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// Returns a container with the sandbox's isolation, as `sandbox::docker` asks for it.
pub(crate) fn alike() -> ContainerCreateBody {
    let options = "rw,exec,nosuid,nodev,size=536870912,uid=1000,gid=1000,mode=0755";
    let tmpfs = ["/tmp", "/app"].map(|folder| (folder.to_owned(), options.to_owned()));
    ContainerCreateBody {
        network_disabled: Some(true),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
            readonly_rootfs: Some(true),
            tmpfs: Some(tmpfs.into()),
            ipc_mode: Some("none".to_owned()),
            memory: Some(2 << 30),
            memory_swap: Some(2 << 30),
            nano_cpus: Some(1_000_000_000),
            pids_limit: Some(264),
            log_config: Some(HostConfigLogConfig {
                typ: Some("none".to_owned()),
                config: None,
            }),
            init: Some(true),
            ..HostConfig::default()
        }),
        ..plain()
    }
}

/// Creates, starts, awaits and removes a container.
pub(crate) async fn run(docker: &Docker, body: ContainerCreateBody) -> anyhow::Result<()> {
    let created = docker
        .create_container(None::<CreateContainerOptions>, body)
        .await?;
    docker
        .start_container(&created.id, None::<StartContainerOptions>)
        .await?;
    let options = WaitContainerOptionsBuilder::default()
        .condition("not-running")
        .build();
    let mut waiting = Box::pin(docker.wait_container(&created.id, Some(options)));
    let ended = waiting.next().await;
    let options = RemoveContainerOptionsBuilder::default()
        .force(true)
        .v(true)
        .build();
    docker.remove_container(&created.id, Some(options)).await?;
    anyhow::ensure!(ended.is_some_and(|ended| ended.is_ok()), "`true` failed");
    Ok(())
}
