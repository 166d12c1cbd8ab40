//! Which addresses may be dialled: what each special network is, and which of them the operator has allowed.
//!
//! Pure: it resolves nothing and dials nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Special networks of IPv4 (RFC 6890 and IANA's registry), and what they are.
const SPECIAL_V4: &[([u8; 4], u8, &str)] = &[
    ([10, 0, 0, 0], 8, "private"),
    ([172, 16, 0, 0], 12, "private"),
    ([192, 168, 0, 0], 16, "private"),
    ([127, 0, 0, 0], 8, "loopback"),
    ([169, 254, 0, 0], 16, "link-local"),
    ([100, 64, 0, 0], 10, "carrier-grade NAT"),
    ([192, 0, 0, 0], 24, "special-purpose"),
    ([192, 0, 2, 0], 24, "documentation"),
    ([192, 88, 99, 0], 24, "6to4 relay"),
    ([198, 18, 0, 0], 15, "benchmarking"),
    ([198, 51, 100, 0], 24, "documentation"),
    ([203, 0, 113, 0], 24, "documentation"),
    ([240, 0, 0, 0], 4, "reserved"),
];

/// Special networks of IPv6; what is in none of them and outside 2000::/3 is special too.
const SPECIAL_V6: &[([u16; 8], u8, &str)] = &[
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, "loopback"),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "private"),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link-local"),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "site-local"),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "local NAT64"),
    ([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "discard"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "special-purpose"),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "documentation"),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "documentation"),
];

/// Where clouds hand credentials to whoever asks from inside: a broad network never allows these.
const METADATA_V4: &[Ipv4Addr] = &[
    Ipv4Addr::new(169, 254, 169, 254), // AWS, Google, Azure, DigitalOcean, OpenStack, Oracle, …
    Ipv4Addr::new(169, 254, 170, 2),   // AWS ECS
    Ipv4Addr::new(169, 254, 170, 23),  // AWS EKS
    Ipv4Addr::new(169, 254, 0, 23),    // Tencent
    Ipv4Addr::new(169, 254, 42, 42),   // Scaleway
    Ipv4Addr::new(168, 63, 129, 16),   // Azure's host agent
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle, older
];

/// The same by IPv6.
const METADATA_V6: &[Ipv6Addr] = &[
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), // AWS
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),  // AWS EKS
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),  // Google
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),   // Scaleway
];

/// Why an address may not be dialled. Its text names the network and what would allow it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Forbidden {
    /// It is in a special network that the operator hasn't allowed.
    #[error(
        "{address} is in the {kind} network {network}; an operator can allow it by adding that network, or {exact}, \
         to TOKENHOST_EGRESS_ALLOW"
    )]
    Network {
        /// The address, or the IPv4 address inside it.
        address: IpAddr,
        /// What the network is.
        kind: &'static str,
        /// The network.
        network: IpNet,
        /// The network of this address alone.
        exact: IpNet,
    },
    /// Clouds hand out credentials there.
    #[error(
        "{0} is a cloud's metadata address; only an operator's TOKENHOST_EGRESS_ALLOW with exactly {exact}, no broader \
         network, allows it",
        exact = IpNet::from(*.0)
    )]
    Metadata(IpAddr),
    /// It is no address of a single host.
    #[error("{0} is {1}, which is never dialled")]
    Never(IpAddr, &'static str),
}

/// Whether an address may be dialled.
pub(super) fn check(address: IpAddr, allowed: &[IpNet]) -> Result<(), Forbidden> {
    match address {
        IpAddr::V4(address) => check_v4(address, allowed),
        IpAddr::V6(address) => check_v6(address, allowed),
    }
}

/// The same for IPv4.
fn check_v4(address: Ipv4Addr, allowed: &[IpNet]) -> Result<(), Forbidden> {
    let ip = IpAddr::V4(address);
    if address.octets()[0] == 0 {
        return Err(Forbidden::Never(ip, "an unspecified address"));
    }
    if address.is_multicast() || address.is_broadcast() {
        return Err(Forbidden::Never(ip, "an address of many hosts"));
    }
    if METADATA_V4.contains(&address) {
        return if names_exactly(ip, allowed) { Ok(()) } else { Err(Forbidden::Metadata(ip)) };
    }
    for &(base, length, kind) in SPECIAL_V4 {
        let network = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from(base), length));
        if network.contains(&ip) {
            return allow(ip, kind, network, allowed);
        }
    }
    Ok(())
}

/// The same for IPv6. An address that carries an IPv4 address leads there, and is held against that.
fn check_v6(address: Ipv6Addr, allowed: &[IpNet]) -> Result<(), Forbidden> {
    let ip = IpAddr::V6(address);
    if address.is_unspecified() {
        return Err(Forbidden::Never(ip, "an unspecified address"));
    }
    if address.is_multicast() {
        return Err(Forbidden::Never(ip, "an address of many hosts"));
    }
    if METADATA_V6.contains(&address) {
        return if names_exactly(ip, allowed) { Ok(()) } else { Err(Forbidden::Metadata(ip)) };
    }
    if let Some(inner) = translated_v4(address) {
        return check_v4(inner, allowed);
    }
    if let Some(inner) = tunnelled_v4(address) {
        check_v4(inner, allowed)?;
    }
    for &(base, length, kind) in SPECIAL_V6 {
        let network = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from(base), length));
        if network.contains(&ip) {
            return allow(ip, kind, network, allowed);
        }
    }
    let first = address.segments()[0];
    if first & 0xe000 != 0x2000 {
        let network = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0), 16));
        return allow(ip, "reserved", network, allowed);
    }
    Ok(())
}

/// The IPv4 address that an IPv6 address stands for.
fn translated_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        // IPv4-mapped (RFC 4291 section 2.5.5.2), IPv4-translated (RFC 2765), NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(from_pair(high, low)),
        // IPv4-compatible (RFC 4291 section 2.5.5.1), but for ::1.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(from_pair(high, low)),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => Some(from_pair(high, low)),
        _ => None,
    }
}

/// The IPv4 address through which an IPv6 address is reached; both count.
fn tunnelled_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        // Teredo (RFC 4380 section 4): the client's address, inverted.
        [0x2001, 0, _, _, _, _, high, low] => Some(from_pair(!high, !low)),
        // ISATAP (RFC 5214 section 6.1).
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(from_pair(high, low)),
        _ => None,
    }
}

/// An IPv4 address from its halves.
fn from_pair(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

/// Whether the operator has allowed a network with this address.
fn allow(address: IpAddr, kind: &'static str, network: IpNet, allowed: &[IpNet]) -> Result<(), Forbidden> {
    if allowed.iter().any(|allowed| allowed.contains(&address)) {
        return Ok(());
    }
    Err(Forbidden::Network { address, kind, network, exact: IpNet::from(address) })
}

/// Whether the operator has named this very address.
fn names_exactly(address: IpAddr, allowed: &[IpNet]) -> bool {
    allowed.iter().any(|allowed| allowed.prefix_len() == allowed.max_prefix_len() && allowed.addr() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `verdict` is empty where the address may be dialled, else a piece of the refusal.
    #[track_caller]
    fn check_text(address: &str, allowed: &str, verdict: &str) {
        let networks: Vec<IpNet> = allowed.split_whitespace().map(|text| text.parse().unwrap()).collect();
        let outcome = check(address.parse().unwrap(), &networks).map_err(|refusal| refusal.to_string());
        match outcome {
            Ok(()) => assert_eq!(verdict, "", "{address} with [{allowed}] is allowed"),
            Err(text) => {
                assert!(!verdict.is_empty() && text.contains(verdict), "{address} with [{allowed}]: {text}");
            }
        }
    }

    #[test]
    fn public_addresses_need_no_permission() {
        for address in
            ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00::1", "64:ff9b::808:808"]
        {
            check_text(address, "", "");
        }
        check_text("::ffff:8.8.8.8", "", "");
        check_text("2002:808:808::1", "", "");
    }

    #[test]
    fn special_networks_are_refused_by_name_and_allowed_by_the_operator() {
        for (address, network) in [
            ("10.1.2.3", "10.0.0.0/8"),
            ("172.31.255.255", "172.16.0.0/12"),
            ("192.168.0.1", "192.168.0.0/16"),
            ("127.0.0.1", "127.0.0.0/8"),
            ("169.254.1.1", "169.254.0.0/16"),
            ("100.64.0.1", "100.64.0.0/10"),
            ("198.19.0.1", "198.18.0.0/15"),
            ("203.0.113.9", "203.0.113.0/24"),
            ("240.0.0.1", "240.0.0.0/4"),
            ("::1", "::1/128"),
            ("fd12::1", "fc00::/7"),
            ("fe80::1", "fe80::/10"),
            ("fec0::1", "fec0::/10"),
            ("64:ff9b:1::a00:1", "64:ff9b:1::/48"),
            ("2001:db8::1", "2001:db8::/32"),
            ("4000::1", "4000::/16"),
        ] {
            check_text(address, "", &format!("network {network};"));
            check_text(address, "", "TOKENHOST_EGRESS_ALLOW");
            check_text(address, "11.0.0.0/8 fd11::/16", &format!("network {network};"));
            check_text(address, network, "");
        }
    }

    #[test]
    fn an_ipv4_address_inside_an_ipv6_one_is_what_counts() {
        for address in [
            "::ffff:10.0.0.1",
            "::ffff:0:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
            "2a00::200:5efe:a00:1",
        ] {
            check_text(address, "", "10.0.0.1 is in the private network 10.0.0.0/8");
            check_text(address, "10.0.0.0/8", "");
        }
        check_text("fe80::5efe:a00:1", "fe80::/10", "10.0.0.0/8");
        check_text("fe80::5efe:a00:1", "10.0.0.0/8", "fe80::/10");
        check_text("2001:0:4136:e378:8000:63bf:f5ff:fffe", "2001::/23", "10.0.0.0/8");
        check_text("2001:0:4136:e378:8000:63bf:f7f7:f7f7", "", "2001::/23");
        check_text("64:ff9b::a9fe:a9fe", "169.254.0.0/16 64:ff9b::/96", "metadata");
    }

    #[test]
    fn metadata_addresses_are_allowed_only_exactly() {
        let broad = "0.0.0.0/0 169.254.0.0/16 169.254.169.254/31 100.64.0.0/10 ::/0 fd00::/8";
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "2002:a9fe:a9fe::",
        ] {
            check_text(address, "", "metadata");
            check_text(address, broad, "metadata");
        }
        check_text("169.254.169.254", "169.254.169.254/32", "");
        check_text("169.254.169.254", "169.254.170.2/32", "exactly 169.254.169.254/32");
        check_text("fd00:ec2::254", "fd00:ec2::254/128", "");
    }

    #[test]
    fn addresses_of_no_host_are_never_dialled() {
        for address in ["0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "255.255.255.255", "ff02::1", "::ffff:0.0.0.0"] {
            check_text(address, "0.0.0.0/0 ::/0", "never dialled");
        }
    }
}
